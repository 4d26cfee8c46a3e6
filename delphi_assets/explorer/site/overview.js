// The overview of a place: what the run is, how far its latents got, how good explanations are.
"use strict";

explorer.overview = (() => {
  const { h, quiet, note, section, heads, facts, count, number, score, plural, short, metric } =
    explorer.elements;
  const { STATES } = explorer.elements;
  const { to, changed, replace } = explorer.address;

  const NO_EXPLAINER = "none";

  const draw = async (place, query) => {
    const overview = await explorer.data.load(place.folder, "overview");
    const set = explorer.rows.setOf(overview, query);
    const list = (entries) => to(place, "latents", changed(query, entries));
    const choose = (id) => replace(to(place, null, changed(query, { set: id })));
    const browse = `Browse ${plural(overview.n_latents, "latent")}`;
    const between = (low, high) => list({ density: `${low.toPrecision(4)}..${high.toPrecision(4)}` });
    return h("div", { class: "overview" },
      h("h1", {}, place.hookpoint, h("span", { class: "quiet of" }, `run ${place.run}`)),
      h("p", {}, h("a", { class: "button", href: list({}) }, browse)),
      runFacts(overview),
      section("coverage", "How far latents got", coverage(overview, list)),
      section("density", "How often they fire",
        explorer.charts.densities(overview.densities, between), notDrawn(overview)),
      section("scores", "How good explanations are",
        setChoice(overview, set, choose), scorers(overview, set)),
      settings(overview));
  };

  // The chart is of the whole hookpoint, also where the site is about some of its latents.
  const notDrawn = (overview) => {
    const all = overview.densities.reduce((sum, [, n]) => sum + n, 0);
    const [, dead] = overview.densities.find(([low]) => low === null) || [null, 0];
    const verb = dead === 1 ? "is" : "are";
    const here = count(overview.n_latents);
    return [
      dead > 0 && quiet(`${plural(dead, "latent")} never fired and ${verb} not in the chart.`),
      all > overview.n_latents &&
        quiet(`The chart is of all ${count(all)} latents; ${here} are on this site.`),
    ];
  };

  const runFacts = (overview) => {
    const run = new Map(overview.run_settings);
    const coder = new Map(overview.coder);
    return facts("facts", [
      ["Model", run.get("model.name")],
      ["Coder", run.get("coder.sparse_model")],
      ["Corpus", run.get("corpus.dataset_repo")],
      ["Tokens", count(overview.n_tokens)],
      ["Context length", count(run.get("cache.cache_ctx_len"))],
      ["Latents", count(coder.get("num_latents") ?? overview.n_latents)],
      ["Dimensions", count(coder.get("d_in"))],
      ["Active a token", count(coder.get("k"))],
      ["Variance unexplained", number(coder.get("fvu"))],
      ["Variance unexplained, dimensions alike", number(coder.get("fvu_standardized"))],
      ["Written", `${overview.written_at.slice(0, 16).replace("T", " ")} UTC`],
    ]);
  };

  const coverage = (overview, list) => {
    const total = overview.n_latents || 1;
    const named = overview.states.map(([name, n]) => `${STATES[name][0]} ${count(n)}`);
    return [
      explorer.charts.parts(overview.states, named.join(", ")),
      h("ul", { class: "legend" }, overview.states.map(([name, n]) =>
        h("li", { title: STATES[name][1] },
          h("span", { class: `swatch part-${name}`, "aria-hidden": "true" }),
          n ? h("a", { href: list({ state: name }) }, STATES[name][0]) : STATES[name][0],
          h("b", {}, count(n)),
          note(`${((100 * n) / total).toFixed(1)}%`)))),
    ];
  };

  const setName = (set) => {
    if (set.explainer === NO_EXPLAINER) return `without explanation, selection ${set.selection}`;
    const by = set.explainer_model === set.explainer
      ? set.explainer
      : `${set.explainer}, ${set.explainer_model}`;
    return `${by}, selection ${set.selection} (${count(set.n_latents)})`;
  };

  // Which set of explanations is looked at; nothing to choose where there is one.
  const setChoice = (overview, set, choose) => {
    const { sets } = overview;
    if (!sets.length) return quiet("There are no explanations yet.");
    if (sets.length === 1) return quiet(`Explanations: ${setName(sets[0])}`);
    const option = (one, place) =>
      h("option", { value: String(place), selected: place === set }, setName(one));
    const chosen = (event) => choose(explorer.rows.setId(sets[event.target.value]));
    return h("label", { class: "choice" }, "Explanations",
      h("select", { id: "set", onchange: chosen }, sets.map(option)));
  };

  const belongs = (set) => (row) => {
    const own = row.explainer === set.explainer && row.explainer_model === set.explainer_model;
    return row.selection === set.selection && (own || row.explainer === NO_EXPLAINER);
  };

  const ASKED = ["explainer", "explainer_model", "scorer", "judge", "judge_hash"];
  const same = (row, names) => (other) => names.every((name) => row[name] === other[name]);

  const scorers = (overview, set) => {
    if (!overview.sets.length) return null;
    const of = belongs(overview.sets[set]);
    const rows = overview.scorers.filter(of);
    if (!rows.length) return quiet("Nobody has judged these explanations yet.");
    const bins = overview.distributions.filter(of);
    // Data that an earlier version wrote have none.
    const curves = (overview.recall ?? []).filter(of);
    const key = (kind, text) => h("li", {}, h("span", { class: `swatch ${kind}` }), text);
    return [
      h("div", { class: "panels" },
        rows.map((row) => panel(row, bins.filter(same(row, [...ASKED, "metric"]))))),
      h("ul", { class: "legend small" },
        key("own", "own explanation"),
        key("line shuffled", "floor: another latent's explanation"),
        key("line empty", "floor: no explanation")),
      table(rows),
      quiet("The 95% interval is of latents drawn at random; it takes the corpus as fixed."),
      strengths(rows, curves),
    ];
  };

  // Of the windows in which a latent fires strongly, and of those in which it does weakly, how many
  // explanations find. The curves are of all latents of the hookpoint.
  const strengths = (rows, curves) => {
    const drawn = rows.filter((row) => curves.some(same(row, ASKED)));
    if (!drawn.length) return null;
    return [
      h("h3", {}, "Windows found, by how strongly the latent fires"),
      h("div", { class: "panels" },
        drawn.map((row) => strength(row, curves.filter(same(row, ASKED))))),
      quiet("Dotted: silent windows that are claimed. Of all judged latents of the hookpoint."),
    ];
  };

  const strength = (row, curves) => {
    const of = (control) => curves.find((curve) => curve.control === control);
    const [own, shuffled] = [of("none"), of("shuffled")];
    const kinds = { own: own?.found, ...(shuffled && { shuffled: shuffled.found }) };
    const how = `by ${short(row.judge)}`;
    const said = (own?.found ?? []).map(([bin, part]) => `${bin + 1}: ${score(part)}`).join(", ");
    const label = `${row.scorer}, ${how}: share of windows found by rank bin, ${said}`;
    return h("figure", {},
      h("figcaption", {}, h("b", {}, row.scorer), h("small", { title: row.judge }, how)),
      explorer.charts.recall(kinds, own?.claimed, label));
  };

  const panel = (row, bins) => {
    const kinds = {};
    for (const bin of bins) (kinds[bin.kind] ||= []).push([bin.bin, bin.n_scores]);
    const floor = row.shuffled === null ? "" : `, shuffled ${score(row.shuffled)}`;
    const mean = `mean ${score(row.own)} over ${count(row.n_scores)}`;
    const range = row.metric === "correlation" ? [-1, 1] : [0, 1];
    const how = `${metric(row.metric)}, by ${short(row.judge)}`;
    return h("figure", {},
      h("figcaption", {}, h("b", {}, row.scorer), h("small", { title: row.judge }, how)),
      explorer.charts.distribution(kinds, range, `${row.scorer}, ${how}: ${mean}${floor}`));
  };

  const fine = (value) => (value === null ? "–" : value.toFixed(3));

  const span = (low, high, written) =>
    low === null || high === null ? "" : `${written(low)} to ${written(high)}`;

  const HEADS = ["Scorer", "Judge", "Metric", "Scored", "Failed answers", "Mean", "Quartiles",
    "Shuffled", "Empty", "Chance", "Above shuffled", "95% interval", "Mass explained"];

  const table = (rows) => h("div", { class: "scroll" },
    h("table", { class: "numbers" },
      h("caption", { class: "hidden" }, "Mean scores by scorer, with floors"),
      heads(HEADS, 3),
      h("tbody", {}, rows.map((row) => h("tr", {},
        h("th", { scope: "row" }, row.scorer),
        h("td", { title: row.judge_hash }, short(row.judge)),
        h("td", {}, metric(row.metric)),
        [
          count(row.n_scores),
          count(row.n_failed),
          fine(row.own),
          span(row.lower_quartile, row.upper_quartile, score),
          fine(row.shuffled),
          fine(row.empty),
          fine(row.chance),
          fine(row.above_shuffled),
          span(row.above_shuffled_low, row.above_shuffled_high, fine),
          fine(row.mass_explained ?? null),
        ].map((value) => h("td", { class: "right" }, value)))))));

  const settings = (overview) => {
    const coder = overview.coder.map(([name, value]) => [`coder: ${name}`, value]);
    const shown = [...overview.run_settings, ...coder].map(([name, value]) => [name, String(value)]);
    if (!shown.length) return null;
    return h("details", {},
      h("summary", {}, "All settings of the run, and facts of its coder"), facts("settings", shown));
  };

  // Several places: a page that lists them.
  const drawPlaces = (places) => h("div", { class: "overview" },
    h("h1", {}, "Latent explorer"),
    h("table", { class: "numbers" },
      h("caption", { class: "hidden" }, "Runs and hookpoints"),
      heads(["Run", "Hookpoint", "Latents"], 2),
      h("tbody", {}, places.map((place) => h("tr", {},
        h("td", {}, place.run),
        h("th", { scope: "row" }, h("a", { href: to(place) }, place.hookpoint)),
        h("td", { class: "right" }, count(place.latents)))))));

  return { draw, drawPlaces, setChoice };
})();
