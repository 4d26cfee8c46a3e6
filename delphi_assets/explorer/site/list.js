// The list of latents: search, filters, order, pages. What is shown is in the address.
"use strict";

explorer.list = (() => {
  const { h, note, count, number, score, plural, metric, missing, state, announce, STATES } =
    explorer.elements;
  const { to, toLatent, changed, range, replace } = explorer.address;

  const A_PAGE = 100;
  const TOKENS = 4;
  const WAIT = 60;

  let list = null;

  // Numbers of a place and set, with texts as they come: what the list and next/previous work on.
  const open = async (place, query) => {
    const overview = await explorer.data.load(place.folder, "overview");
    const set = explorer.rows.setOf(overview, query);
    if (isOpen(place) && list.set === set) return list;
    const numbers = await explorer.rows.loadNumbers(place.folder, overview);
    const n = numbers.latents.length;
    list = {
      place, overview, set, numbers,
      columns: explorer.rows.columnsOf(overview, set),
      labels: explorer.rows.labelsOf(overview),
      stateNames: overview.states.map(([name]) => name),
      tokens: new Array(n),
      texts: new Array(n),
      said: new Array(n),
      failed: new Set(),
      haystack: null,
      loaded: new Map(),
    };
    return list;
  };

  const isOpen = (place) => list !== null && list.place.folder === place.folder;

  const loadPiece = (of, piece) => {
    if (!of.loaded.has(piece)) of.loaded.set(piece, readPiece(of, piece));
    return of.loaded.get(piece);
  };

  const readPiece = async (of, piece) => {
    const [first, last] = of.numbers.starts.slice(piece, piece + 2);
    const read = explorer.rows.loadTexts(of.place.folder, of.overview, of.set, piece, last - first);
    const { tokens, texts, failed, labels } = await read;
    for (let row = first; row < last; row += 1) {
      of.tokens[row] = tokens[row - first];
      of.texts[row] = texts[row - first];
      of.said[row] = labels.map((column) => column[row - first]);
      if (failed.has(row - first)) of.failed.add(row);
    }
  };

  const loadRows = (of, rows) => {
    const pieces = new Set(rows.map((row) => explorer.rows.pieceOf(of.numbers, row)));
    return Promise.all([...pieces].map((piece) => loadPiece(of, piece)));
  };

  // All texts: needed to search, and loaded behind the first page otherwise.
  const loadAll = async (of) => {
    if (of.haystack) return;
    await Promise.all(of.overview.pieces.map((_, piece) => loadPiece(of, piece)));
    of.haystack ||= explorer.rows.haystack(of);
  };

  const chosen = async (place, query) => {
    const of = await open(place, query);
    if (query.get("q")) await loadAll(of);
    return [of, explorer.rows.chosen(of, query)];
  };

  const draw = async (place, query) => {
    const [of, rows] = await chosen(place, query);
    const all = of.numbers.latents.length;
    const pages = Math.max(1, Math.ceil(rows.length / A_PAGE));
    const page = Math.min(pages, Math.max(1, Number(query.get("page")) || 1));
    const shown = rows.slice((page - 1) * A_PAGE, page * A_PAGE);
    await loadRows(of, shown);
    if (!of.haystack) setTimeout(() => loadAll(of).catch(() => {}), 0);
    const part = rows.length === all ? "" : `${count(rows.length)} of `;
    const found = `${part}${plural(all, "latent")}`;
    announce(`${found}, page ${page} of ${pages}`);
    const { element, input, results } = frameOf(place);
    // What is being typed is newer than the address.
    if (document.activeElement !== input) input.value = query.get("q") || "";
    results.replaceChildren(...[
      controls(of, query),
      h("div", { class: "found" },
        h("span", { id: "found" }, found), pager(place, query, page, pages)),
      rows.length ? table(of, query, shown) : nothing(place),
      rows.length > 20 && pager(place, query, page, pages),
    ].filter(Boolean));
    return element;
  };

  const nothing = (place) => h("p", { class: "empty" },
    "No latent is like this. ", h("a", { href: to(place, "latents") }, "Show all"));

  // Changes of the query lead to its first page.
  const go = (entries) => {
    const { query } = explorer.address.read();
    replace(to(list.place, "latents", changed(query, { page: null, ...entries })));
  };

  let frame = null;

  // The search box stays while results change, so that nobody's typing is interrupted.
  const frameOf = (place) => {
    if (frame && frame.place === place) return frame;
    const search = later((text) => go({ q: text }));
    const input = h("input", {
      id: "search",
      type: "search",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "Search explanations and top tokens, or a latent's number",
      "aria-label": "Search latents",
      oninput: (event) => search(event.target.value),
    });
    const results = h("div", {});
    const element = h("div", { class: "list" },
      h("h1", { class: "hidden" }, `Latents of ${place.hookpoint}, run ${place.run}`),
      h("search", {}, input), results);
    frame = { place, element, input, results };
    return frame;
  };

  const later = (act) => {
    let waiting = null;
    return (...given) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => act(...given), WAIT);
    };
  };

  const controls = (of, query) => h("div", { class: "controls" },
    of.overview.sets.length > 1 &&
      explorer.overview.setChoice(of.overview, of.set, (id) => go({ set: id })),
    h("div", { class: "states", role: "group", "aria-label": "States" }, stateButtons(of, query)),
    filters(of, query));

  const stateButtons = (of, query) => {
    const wanted = new Set((query.get("state") || "").split(",").filter(Boolean));
    const toggle = (name) => {
      if (!wanted.delete(name)) wanted.add(name);
      go({ state: [...wanted].join(",") });
    };
    const shown = of.overview.states.filter(([name, n]) => n || wanted.has(name));
    return shown.map(([name, n]) => h("button", {
      type: "button",
      id: `state-${name}`,
      class: "toggle",
      title: STATES[name][1],
      "aria-pressed": String(wanted.has(name)),
      onclick: () => toggle(name),
    },
    h("span", { class: `swatch part-${name}`, "aria-hidden": "true" }),
    STATES[name][0],
    note(count(n))));
  };

  const filters = (of, query) => {
    const scores = of.columns.map((column) => [`score.${column.id}`, column.label]);
    const labels = of.labels.filter((one) => one.are_numbers).map((one) => [one.id, one.label]);
    const names = [["density", "Density"], ["max", "Max"], ...scores, ...labels];
    const active = names.filter(([name]) => range(query.get(name))).length;
    const clear = () => go(Object.fromEntries(names.map(([name]) => [name, null])));
    return h("details", { class: "filters", id: "filters", open: active > 0 },
      h("summary", {}, active ? `Filters (${active})` : "Filters"),
      h("div", { class: "ranges" }, names.map(([name, label]) => ends(name, label, query))),
      active > 0 && h("button", { type: "button", class: "toggle", onclick: clear }, "Clear filters"));
  };

  const ends = (name, label, query) => {
    const [low, high] = range(query.get(name)) || [null, null];
    const change = (event) => {
      const inputs = [...event.target.closest("fieldset").querySelectorAll("input")];
      const given = inputs.map((input) => input.value.trim());
      const wrong = given.some((text) => text !== "" && Number.isNaN(Number(text)));
      event.target.setAttribute("aria-invalid", String(wrong));
      if (wrong) announce(`${label}: expected numbers, for example 0.7 or 1e-4`);
      else go({ [name]: given.some(Boolean) ? given.join("..") : null });
    };
    const end = (which, meaning, value) => h("input", {
      type: "text",
      inputmode: "decimal",
      size: "6",
      value: missing(value) ? "" : String(value),
      placeholder: which,
      id: `${name}-${which}`,
      "aria-label": `${label}, ${meaning}`,
      onchange: change,
    });
    return h("fieldset", {}, h("legend", {}, label),
      end("min", "at least", low), " to ", end("max", "at most", high));
  };

  const pager = (place, query, page, pages) => {
    if (pages === 1) return null;
    const link = (other, label, sign) => {
      if (other < 1 || other > pages || other === page) {
        return h("span", { class: "quiet", "aria-hidden": "true" }, sign);
      }
      const href = to(place, "latents", changed(query, { page: other === 1 ? null : other }));
      return h("a", { href, "aria-label": label }, sign);
    };
    return h("nav", { class: "pager", "aria-label": "Pages" },
      link(1, "First page", "«"), link(page - 1, "Previous page", "‹"),
      h("span", { "aria-current": "page" }, `${count(page)} / ${count(pages)}`),
      link(page + 1, "Next page", "›"), link(pages, "Last page", "»"));
  };

  const header = (query, id, label, title, kind) => {
    const sort = query.get("sort") || "latent";
    const by = sort.replace(/^-/, "") === id;
    const down = by && sort.startsWith("-");
    // Numbers are of interest from the top down, latents from the first on.
    const upwards = by ? down : id === "latent";
    const next = upwards ? id : `-${id}`;
    const order = by ? (down ? "descending" : "ascending") : "none";
    const arrow = h("span", { "aria-hidden": "true" }, down ? "\u00a0▾" : "\u00a0▴");
    const onclick = () => go({ sort: next === "latent" ? null : next });
    return h("th", { scope: "col", class: kind, "aria-sort": order },
      h("button", { type: "button", id: `sort-${id}`, title, onclick },
        label.replaceAll("_", " "), by && arrow));
  };

  const scoreHeader = (query, column) => {
    const title = `${metric(column.metric)}, judged by ${column.judge} (${column.judge_hash})`;
    return header(query, column.id, column.label, title, "score");
  };

  const labelHeader = (query, label) => {
    const title = `${label.name}, by ${label.source}`;
    if (label.are_numbers) return header(query, label.id, label.label, title, "right");
    return h("th", { scope: "col", title }, label.label);
  };

  const labelCell = (of, row, { are_numbers: areNumbers, place }) => {
    if (!areNumbers) {
      const text = (of.said[row] || [])[place] ?? "";
      return h("td", { class: "label" }, h("div", { title: text }, text));
    }
    const value = of.numbers.labels[place][row];
    // The number of a cluster is not to be rounded.
    return h("td", { class: "right" }, Number.isInteger(value) ? String(value) : number(value));
  };

  const table = (of, query, rows) => h("div", { class: "scroll" },
    h("table", { class: "latents", id: "latents" },
      h("caption", { class: "hidden" }, "Latents; a number opens its page"),
      h("thead", {}, h("tr", {},
        header(query, "latent", "Latent", "Sort by number"),
        header(query, "state", "State", "Sort by how far the latent got", "spare"),
        header(query, "density", "Density", "Share of tokens on which it fires", "right spare"),
        header(query, "max", "Max", "Strongest activation", "right spare"),
        h("th", { scope: "col" }, "Top tokens"),
        h("th", { scope: "col", class: "said" }, "Explanation"),
        of.columns.map((column) => scoreHeader(query, column)),
        of.labels.map((label) => labelHeader(query, label)))),
      h("tbody", {}, rows.map((row) => line(of, query, row)))));

  const line = (of, query, row) => {
    const { numbers } = of;
    const latent = numbers.latents[row];
    const tokens = (of.tokens[row] || []).slice(0, TOKENS);
    const text = of.texts[row] || "";
    const link = h("a", { href: toLatent(of.place, latent, query) }, String(latent));
    return h("tr", { id: `row-${latent}` },
      h("th", { scope: "row" }, link),
      h("td", { class: "spare" }, state(of.stateNames[numbers.states[row]])),
      h("td", { class: "right spare" }, number(numbers.densities[row])),
      h("td", { class: "right spare" }, number(numbers.maxima[row])),
      h("td", { class: "tokens" }, tokens.map((token) => h("code", {}, token))),
      h("td", { class: of.failed.has(row) ? "said failure" : "said" }, h("div", { title: text }, text)),
      of.columns.map((column) => scoreCell(numbers.scores[column.number], row, column)),
      of.labels.map((label) => labelCell(of, row, label)));
  };

  const scoreCell = (scores, row, column) => {
    const own = scores.own[row];
    if (missing(own)) return h("td", { class: "score quiet" }, "–");
    const floor = scores.shuffled[row] ?? scores.empty[row];
    const title = missing(floor) ? score(own) : `${score(own)}, floor ${score(floor)}`;
    const low = column.metric === "correlation" ? -1 : 0;
    return h("td", { class: "score", title }, explorer.charts.cell(own, floor, low), score(own));
  };

  // The latents before and after one, in the order of the query; by number where it is not in it.
  const around = async (place, query, latent) => {
    const [of, rows] = await chosen(place, query);
    const { latents } = of.numbers;
    const at = rows.findIndex((row) => latents[row] === latent);
    if (at >= 0) {
      const name = (row) => (row === undefined ? null : latents[row]);
      return { before: name(rows[at - 1]), after: name(rows[at + 1]), at: at + 1, n: rows.length };
    }
    const before = latents.findLast((other) => other < latent) ?? null;
    const after = latents.find((other) => other > latent) ?? null;
    return { before, after, at: null, n: latents.length };
  };

  const pageOf = (at) => (at ? Math.ceil(at / A_PAGE) : 1);

  return { draw, around, pageOf, isOpen };
})();
