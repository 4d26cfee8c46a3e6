// Windows of a latent: text with the tokens on which it fires shaded, and beside it what scorers
// answered.
"use strict";

explorer.windows = (() => {
  const { h, note, hidden, count, number, score, missing } = explorer.elements;

  const SHADES = 10;
  const PLAIN = "plain";

  // A window's text. Tokens that fire carry their activation for the tooltip; a screen reader gets
  // them listed behind the text.
  const text = (page, group, place) => {
    const tokens = page.texts[group.text[place]].map((token) => page.strings[token]);
    const fired = new Map(group.offsets[place].map((offset, nth) => [offset, nth]));
    const activation = (nth) => number(group.activations[place][nth]);
    const pieces = [];
    let plain = "";
    tokens.forEach((token, offset) => {
      if (!fired.has(offset)) {
        plain += token;
        return;
      }
      const nth = fired.get(offset);
      pieces.push(plain, mark(token, activation(nth), group.strengths[place][nth]));
      plain = "";
    });
    pieces.push(plain);
    const listed = [...fired].map(([offset, nth]) => `${tokens[offset].trim()} ${activation(nth)}`);
    const reached = listed.length ? { tabindex: "0", onkeydown: walk } : {};
    return h("div", { class: "window", dir: "ltr", ...reached },
      pieces.filter(Boolean), listed.length > 0 && hidden(`. Fires on: ${listed.join("; ")}.`));
  };

  const mark = (token, activation, strength) => {
    const shade = Math.min(SHADES, Math.max(1, Math.abs(strength || 1)));
    const negative = strength < 0 ? " negative" : "";
    const tip = `${JSON.stringify(token)} fires at ${activation}, strength ${shade} of ${SHADES}`;
    return h("mark", { class: `s${shade}${negative}`, tabindex: "-1", "data-tip": tip }, token);
  };

  // Left and right walk along the tokens that fire.
  const walk = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const marks = [...event.currentTarget.querySelectorAll("mark")];
    const at = marks.indexOf(document.activeElement);
    const next = marks[at + step] || marks[step > 0 ? 0 : marks.length - 1];
    if (next) next.focus();
  };

  // A column for each scorer, judge and variant that judged any of the examples; `places` are where
  // its answers stand, by example.
  const columnsOf = (verdicts, examples) => {
    const asked = new Set(examples);
    return verdicts.flatMap((verdict) => {
      const variants = new Map();
      verdict.examples.forEach((example, place) => {
        if (!asked.has(example)) return;
        const variant = verdict.variants ? verdict.variants[place] : PLAIN;
        if (!variants.has(variant)) variants.set(variant, new Map());
        variants.get(variant).set(example, place);
      });
      return [...variants].map(([variant, places]) => ({ verdict, variant, places }));
    });
  };

  const answer = ({ verdict, variant, places }, example) => {
    const place = places.get(example);
    if (place === undefined) return h("td", { class: "verdict" });
    const at = (values) => (values ? values[place] : null);
    const asked = variant === PLAIN ? verdict.scorer : `${verdict.scorer}, ${variant}`;
    const failure = (verdict.failures || []).find(([other]) => other === place);
    if (failure) return sign("failed", "!", `${asked}: no answer, ${failure[1]}`);
    const [truth, said] = [at(verdict.truths), at(verdict.predictions)];
    if (missing(said)) {
      const value = at(verdict.values);
      const tip = `${asked}: ${number(value)}; higher is more like a window where it fires`;
      return h("td", { class: "verdict value", "data-tip": tip }, number(value));
    }
    const probability = at(verdict.probabilities);
    const sure = missing(probability) ? "" : `, probability ${score(probability)}`;
    const word = (yes) => (yes ? "yes" : "no");
    const [kind, shown] = said === truth ? ["right", "✓"] : ["wrong", "✗"];
    const tip = `${asked}: ${kind}; answered ${word(said)}${sure}; right is ${word(truth)}`;
    return sign(kind, shown, tip);
  };

  const sign = (kind, shown, tip) => h("td", { class: `verdict ${kind}`, "data-tip": tip },
    h("span", { "aria-hidden": "true" }, shown), hidden(tip));

  const TITLES = {
    train: ["Silent windows, shown to the explainer", "Windows shown to the explainer"],
    test: ["Silent windows, for the scorers", "Windows kept for the scorers"],
  };

  const about = (group) => {
    const source = group.activating ? `drawn by ${group.source}` : `from ${group.source}`;
    return note(` ${count(group.example.length)}, ${source}`);
  };

  // The windows of a latent in one selection, judged given one explanation.
  const draw = (place, page, groups, verdicts, query) => groups.map((group) => {
    const columns = columnsOf(verdicts, group.example);
    const title = (TITLES[group.split] || TITLES.test)[Number(group.activating)];
    return h("details", { class: "windows", open: true },
      h("summary", {}, h("h3", {}, title), about(group)),
      h("div", { class: "scroll" }, h("table", {},
        h("thead", {}, h("tr", {},
          h("th", { scope: "col", class: "right" }, group.activating ? "Max" : hidden("Neighbour")),
          h("th", { scope: "col" }, "Window"),
          columns.map(head))),
        bodies(place, page, group, columns, query))));
  });

  const head = ({ verdict, variant }) => {
    const title = `${verdict.scorer} by ${verdict.judge} (${verdict.judge_hash})`;
    return h("th", { scope: "col", class: "verdict", title },
      verdict.scorer.replaceAll("_", " "), variant !== PLAIN && h("small", {}, variant));
  };

  // A body for each rank bin; the first row of a bin names it.
  const bodies = (place, page, group, columns, query) => {
    const bins = new Map();
    group.example.forEach((_, at) => {
      const bin = group.quantile ? group.quantile[at] : null;
      if (!bins.has(bin)) bins.set(bin, []);
      bins.get(bin).push(at);
    });
    const row = (at) => h("tr", { id: `example-${group.selection}-${group.example[at]}` },
      h("td", { class: "right quiet" }, label(place, group, at, query)),
      h("td", { class: "text" }, text(page, group, at)),
      columns.map((column) => answer(column, group.example[at])));
    return [...bins].map(([bin, places]) =>
      h("tbody", {}, bin !== null && binRow(bin, 2 + columns.length), places.map(row)));
  };

  const binRow = (bin, width) => h("tr", { class: "bin" },
    h("th", { scope: "rowgroup", colspan: String(width) },
      bin === 0 ? "Quantile 0, the strongest" : `Quantile ${bin}`));

  // Before a window: its strongest activation; where the latent is silent, why the window was taken.
  const label = (place, group, at, query) => {
    if (group.activating) return number(group.max_activation[at]);
    const neighbour = group.neighbour ? group.neighbour[at] : null;
    const similarity = group.similarity ? group.similarity[at] : null;
    if (missing(neighbour)) {
      return missing(similarity) ? "" : h("span", { title: "similarity" }, `~${number(similarity)}`);
    }
    const title = `latent ${neighbour} fires here, similarity ${number(similarity)}`;
    const href = explorer.address.toLatent(place, neighbour, query);
    return h("a", { href, title }, String(neighbour));
  };

  return { draw };
})();
