// Explanations of a latent: text, who wrote it, scores against their floors, and the calls behind.
"use strict";

explorer.explanations = (() => {
  const { h, quiet, hidden, count, number, score, dollars, metric, missing, short } =
    explorer.elements;

  const LINES = 5;
  const CHARACTERS = 600;
  const LEXICAL = "lexical";

  // The chosen explanation first and open, the others folded.
  const draw = (place, latent, chosen, choose) => {
    if (!latent.explanations.length) {
      const why = latent.reason ? `Not explained: ${latent.reason}.` : "";
      return quiet(why || "Nobody has explained this latent yet.");
    }
    return [
      h("article", { class: "explanation" }, inside(place, latent, chosen)),
      latent.explanations.map((one, at) => at !== chosen && other(place, latent, one, at, choose)),
    ];
  };

  const other = (place, latent, one, at, choose) => {
    const show = { type: "button", id: `explanation-${at}`, onclick: () => choose(at) };
    return h("details", { class: "explanation other" },
      h("summary", {},
        h("span", { class: failed(one) && "failure" }, said(one).split("\n")[0]),
        h("span", { class: "by quiet" }, by(one))),
      h("p", {}, h("button", show, "Show its verdicts beside the windows")),
      inside(place, latent, at));
  };

  const failed = (one) => missing(one.explanation);

  const said = (one) =>
    failed(one) ? `Failed: ${one.failure}` : one.explanation || "(an empty text)";

  // Long texts are cut until the reader asks for the rest, so that windows stay in sight.
  const text = (one) => {
    const all = said(one);
    const kind = failed(one) ? "text failure" : "text";
    const cut = all.split("\n").slice(0, LINES).join("\n").slice(0, CHARACTERS);
    if (cut.length + 20 >= all.length) return h("p", { class: kind }, all);
    const shown = h("p", { class: kind }, cut, " ");
    const more = () => shown.replaceChildren(all);
    shown.append(h("button", { type: "button", class: "more", onclick: more }, "… all"));
    return shown;
  };

  const inside = (place, latent, at) => {
    const one = latent.explanations[at];
    const of = (rows) => rows.filter((row) => row.explanation === at);
    const floors = (row) => (one.explainer === LEXICAL ? { ...row, lexical: null } : row);
    const asked = of(latent.verdicts).flatMap((row) => row.requests || []);
    const own = [one.request, one.quick_request].filter(Boolean);
    return [
      text(one),
      h("p", { class: "by quiet" }, by(one)),
      table(of(latent.scores).map(floors)),
      strengths(latent, of(latent.scores), of(latent.verdicts)),
      calls(place, latent, own, "Prompt and raw answer of the explainer"),
      calls(place, latent, asked, "Prompts and raw answers of scorers"),
    ];
  };

  const by = (one) => {
    const lost = one.chosen === false ? " (lost)" : "";
    const facts = [
      `selection ${one.selection}`,
      !missing(one.route) && `route ${one.route}: ${one.reason}`,
      !missing(one.n_shown) && `${count(one.n_shown)} windows`,
      !missing(one.candidate) && `candidate ${one.candidate}${lost}`,
      !missing(one.quick_score) && `quick score ${score(one.quick_score)}`,
      dollars(one.cost),
      !missing(one.latency) && `${number(one.latency)} s`,
      !missing(one.written_at) && one.written_at.slice(0, 10),
    ];
    const model = one.explainer_model === one.explainer ? "" : ` by ${one.explainer_model}`;
    return [h("b", {}, one.explainer), [model, ...facts.filter(Boolean)].join(" · ")];
  };

  const FLOORS = [
    ["shuffled", "Shuffled", "another latent's explanation"],
    ["empty", "Empty", "no explanation"],
    ["lexical", "Lexical", "for comparison: the explanation that counting gives"],
    ["chance", "Chance", "a guess among several"],
  ];

  // Scores with intervals; of the floors, those that are there.
  const table = (rows) => {
    if (!rows.length) return null;
    const floors = FLOORS.filter(([kind]) => rows.some((row) => !missing(row[kind])));
    const right = (name, title) => h("th", { scope: "col", class: "right", title }, name);
    const key = (kind) => h("span", { class: `swatch line ${kind}`, "aria-hidden": "true" });
    return h("div", { class: "scroll" }, h("table", { class: "numbers scores" },
      h("caption", { class: "hidden" }, "Scores with intervals and floors"),
      h("thead", {}, h("tr", {},
        h("th", { scope: "col" }, "Scorer"),
        right("Score"),
        h("th", { scope: "col" }, hidden("Chart")),
        right("95% interval"),
        floors.map(([kind, name, title]) => right([key(kind), name], title)),
        right("AUROC"), right("F1"),
        right("Mass", "share of the latent's activation in windows that are found, less the share " +
          "of silent windows that are claimed"),
        right("Answers"))),
      h("tbody", {}, rows.map((row) => scoreRow(row, floors)))));
  };

  const scoreRow = (row, floors) => {
    const title = `${metric(row.metric)}, judged by ${row.judge} (${row.judge_hash})`;
    const how = `${metric(row.metric)}, ${short(row.judge)}`;
    const known = !missing(row.own_low) && !missing(row.own_high);
    const lost = row.n_failed ? `, ${count(row.n_failed)} failed` : "";
    const right = (value) => h("td", { class: "right" }, value);
    return h("tr", {},
      h("th", { scope: "row", title }, row.scorer, h("small", {}, how)),
      right(h("b", {}, score(row.own))),
      h("td", { class: "drawn" }, explorer.charts.interval(row)),
      right(known ? `${score(row.own_low)}–${score(row.own_high)}` : ""),
      floors.map(([kind]) => right(score(row[kind]))),
      [score(row.auroc), score(row.f1), score(row.mass_explained), `${count(row.n_examples)}${lost}`].map(right));
  };

  // Of the test windows of each rank bin, how many were found; of scorers that say yes or no.
  const strengths = (latent, scores, verdicts) => {
    const figures = scores.filter((row) => row.metric === "balanced_accuracy").map((row) => {
      const same = (one) => ASKED.every((name) => one[name] === row[name]);
      return strength(latent, row, verdicts.find(same));
    }).filter(Boolean);
    if (!figures.length) return null;
    return [
      h("div", { class: "panels" }, figures),
      quiet("Share of windows found, by how strongly the latent fires; dotted, of silent ones claimed."),
    ];
  };

  const ASKED = ["selection", "scorer", "judge", "judge_hash"];

  const strength = (latent, row, verdict) => {
    if (!verdict?.predictions) return null;
    const bins = new Map();
    for (const group of latent.windows) {
      if (group.selection !== row.selection || !group.quantile) continue;
      group.example.forEach((example, at) => bins.set(example, group.quantile[at]));
    }
    const counts = new Map();
    const silent = [0, 0];
    verdict.predictions.forEach((said, at) => {
      if (missing(said)) return;
      const bin = bins.get(verdict.examples[at]);
      if (!verdict.truths[at]) {
        silent[0] += said;
        silent[1] += 1;
      } else if (!missing(bin)) {
        const [found, all] = counts.get(bin) ?? [0, 0];
        counts.set(bin, [found + said, all + 1]);
      }
    });
    if (!counts.size) return null;
    const own = [...counts].sort(([one], [other]) => one - other)
      .map(([bin, [found, all]]) => [bin, found / all]);
    const said = own.map(([bin, part]) => `${bin + 1}: ${score(part)}`).join(", ");
    const label = `${row.scorer}, by ${short(row.judge)}: share of windows found by rank bin, ${said}`;
    return h("figure", {},
      h("figcaption", {}, h("b", {}, row.scorer),
        h("small", { title: row.judge }, `by ${short(row.judge)}`)),
      explorer.charts.recall({ own }, silent[1] ? silent[0] / silent[1] : null, label));
  };

  // Loaded when the fold is opened: prompts are long.
  const calls = (place, latent, requests, title) => {
    const wanted = new Set(requests);
    if (!wanted.size) return null;
    const shown = h("div", {});
    const read = async () => {
      const key = `calls/${Math.floor(latent.latent / place.overview.page)}`;
      const page = await explorer.data.loadPage(place.folder, key);
      const found = page.calls.filter((call) => wanted.has(call.request));
      return found.map((one) => call(page, one));
    };
    const open = async (event) => {
      if (!event.target.open || shown.childElementCount) return;
      shown.replaceChildren(quiet("Loading…"));
      try {
        shown.replaceChildren(...(await read()));
      } catch (error) {
        shown.replaceChildren(h("p", { class: "failure" }, error.message));
      }
    };
    return h("details", { class: "calls", ontoggle: open },
      h("summary", {}, `${title} (${count(wanted.size)})`), shown);
  };

  const call = (page, one) => {
    const facts = [
      one.role,
      one.model,
      !missing(one.prompt_tokens) && `${count(one.prompt_tokens)} tokens in`,
      !missing(one.completion_tokens) && `${count(one.completion_tokens)} out`,
      dollars(one.cost),
      !missing(one.latency) && `${number(one.latency)} s`,
      one.finish_reason,
    ];
    const message = (title, kind, said) =>
      h("div", { class: kind }, h("h4", {}, title), h("pre", { tabindex: "0" }, said));
    const answered = !missing(one.answer);
    return h("section", { class: "call" },
      quiet(facts.filter(Boolean).join(" · ")),
      one.messages.map(([role, at]) => message(role, "message", page.texts[at])),
      message(answered ? "raw answer" : "error", "answer", answered ? one.answer : one.error || ""));
  };

  return { draw, calls, table };
})();
