// The page of a latent: explanations, windows, statistics, neighbours.
"use strict";

explorer.latent = (() => {
  const { h, quiet, note, section, facts, count, number, share, state, missing, announce } =
    explorer.elements;
  const { to, toLatent, changed, replace } = explorer.address;

  const draw = async (given, latent, query) => {
    const overview = await explorer.data.load(given.folder, "overview");
    const place = { ...given, overview };
    const key = `latents/${Math.floor(latent / overview.page)}`;
    // A site of some latents has no file for the others.
    const page = await explorer.data.loadPage(place.folder, key).catch(() => ({ latents: [] }));
    const found = page.latents.find((one) => one.latent === latent);
    if (!found) return unknown(place, latent, query);
    announce(`Latent ${latent}`);
    const steps = h("span", { class: "steps" });
    const filled = explorer.list.around(place, query, latent)
      .then((around) => steps.replaceChildren(...stepsOf(place, around, query)));
    // The list's numbers are not waited for by who comes from a shared address.
    if (explorer.list.isOpen(place)) await filled;
    else filled.catch(() => {});
    const chosen = chosenExplanation(found, overview, query);
    const stay = (entries) => replace(toLatent(place, latent, changed(query, entries)));
    const choose = (at) => stay({ explanation: found.explanations[at].explanation_id });
    return h("div", { class: "latent" },
      header(found, steps),
      h("div", { class: "columns" },
        h("div", { class: "wide" },
          section("explanations", "Explanations",
            explorer.explanations.draw(place, found, chosen, choose), bare(place, found)),
          windows(place, page, found, chosen, query, stay)),
        h("aside", { "aria-label": "Statistics" },
          labels(found), activations(found), tokens(found), neighbours(place, found, query), statistics(found))));
  };

  const unknown = (place, latent, query) => h("div", { class: "latent" },
    h("h1", {}, `Latent ${latent}`),
    h("p", { class: "empty" }, `This site has no latent ${latent} at ${place.hookpoint}. `,
      h("a", { href: to(place, "latents", query) }, "All latents")));

  const header = (found, steps) => h("header", { class: "title" },
    h("h1", {}, `Latent ${found.latent}`),
    state(found.state),
    found.reason && note(found.reason),
    h("nav", { "aria-label": "Latents" }, steps));

  // What is chosen on the page of one latent means nothing on another's; the list's page is found
  // from the latent.
  const stepQuery = (query) => changed(query, { explanation: null, page: null });

  // Back to the list, to the latent before and the one after.
  const stepsOf = (place, around, query) => {
    const step = (latent, id, label, sign) => {
      if (latent === null) return h("span", { class: "button off", "aria-hidden": "true" }, sign);
      const href = toLatent(place, latent, stepQuery(query));
      return h("a", { class: "button", id, href, "aria-label": `${label} latent, ${latent}` }, sign);
    };
    const page = explorer.list.pageOf(around.at);
    const back = changed(stepQuery(query), { page: page > 1 ? page : null });
    return [
      h("a", { class: "button", id: "back", href: to(place, "latents", back) }, "List"),
      step(around.before, "before", "Previous", "‹ k"),
      step(around.after, "after", "Next", "j ›"),
      around.at ? note(`${count(around.at)} of ${count(around.n)}`) : "",
    ];
  };

  // The explanation whose verdicts are shown: the one in the address, else the set's.
  const chosenExplanation = (found, overview, query) => {
    const all = found.explanations;
    const asked = all.findIndex((one) => one.explanation_id === query.get("explanation"));
    const set = overview.sets[explorer.rows.setOf(overview, query)];
    const ofSet = (one) => one.shown && explorer.rows.setId(one) === explorer.rows.setId(set);
    return Math.max(0, asked >= 0 || !set ? asked : all.findIndex(ofSet));
  };

  // Scores that were given without an explanation.
  const bare = (place, found) => {
    const of = (rows) => rows.filter((row) => missing(row.explanation));
    const requests = of(found.verdicts).flatMap((row) => row.requests || []);
    const scores = of(found.scores);
    if (!scores.length) return null;
    return h("article", { class: "explanation" },
      h("p", { class: "by quiet" }, "Judged without an explanation"),
      explorer.explanations.table(scores),
      explorer.explanations.calls(place, found, requests, "Prompts and raw answers of scorers"));
  };

  const windows = (place, page, found, chosen, query, stay) => {
    const selections = [...new Set(found.windows.map((group) => group.selection))];
    if (!selections.length) return section("windows", "Windows", without(found));
    const { selection: own } = found.explanations[chosen] || {};
    const wanted = [query.get("selection"), own].find((name) => selections.includes(name));
    const selection = wanted ?? selections[0];
    const groups = found.windows.filter((group) => group.selection === selection);
    const verdicts = found.verdicts.filter((row) => row.selection === selection &&
      (missing(row.explanation) || row.explanation === chosen));
    const choice = (name) => h("button", {
      type: "button",
      class: "toggle",
      id: `selection-${name}`,
      "aria-pressed": String(name === selection),
      onclick: () => stay({ selection: name }),
    }, name);
    const group = { class: "choice", role: "group", "aria-label": "Selection of windows" };
    return section("windows", "Windows",
      selections.length > 1 && h("div", group, "Selection", selections.map(choice)),
      explorer.windows.draw(place, page, groups, verdicts, query));
  };

  // Answers may be there without their windows, as from an import: how many were right.
  const without = (found) => {
    if (!found.verdicts.length) return quiet("No windows were chosen for this latent.");
    return [
      quiet("The lake holds answers about this latent, but not the windows they are about."),
      h("ul", {}, found.verdicts.map((row) => {
        const said = row.predictions || [];
        const given = said.filter((one) => !missing(one)).length;
        const right = said.filter((one, at) => one === row.truths[at]).length;
        return h("li", {}, `${row.scorer} by ${row.judge}: ${count(right)} of ${count(given)} right`);
      })),
    ];
  };

  // Data that an earlier version wrote have none.
  const labels = (found) => {
    if (!(found.labels ?? []).length) return null;
    const pairs = found.labels.map((one) => [`${one.source}.${one.name}`, one.value]);
    return section("labels", "Labels", facts("settings", pairs));
  };

  const activations = (found) => {
    const bins = found.activation_histogram;
    if (!bins) return null;
    const chart = explorer.charts.activations(bins, found.min_activation, found.max_activation);
    return h("section", {}, h("h2", {}, "Activations"), chart);
  };

  const tokens = (found) => {
    if (!found.top_tokens.length) return null;
    const shares = found.top_token_shares || [];
    const row = (token, at) => h("tr", {},
      h("th", { scope: "row" }, h("code", {}, token)),
      h("td", { class: "right" }, share(shares[at])),
      h("td", {}, explorer.charts.meter(shares[at] / shares[0])));
    return h("section", {}, h("h2", {}, "Top tokens"),
      h("table", { class: "bars" },
        h("caption", { class: "hidden" }, "Tokens with the most activation, and their share of it"),
        h("tbody", {}, found.top_tokens.map(row))));
  };

  const neighbours = (place, found, query) => found.neighbours.map((near) => {
    const row = (latent, at) => h("li", {},
      h("a", { href: toLatent(place, latent, stepQuery(query)) }, String(latent)),
      note(number(near.similarities[at])));
    return h("section", {}, h("h2", {}, "Neighbours"), quiet(`by ${near.method}`),
      h("ol", { class: "neighbours" }, near.neighbours.map(row)));
  });

  const statistics = (found) => h("section", {}, h("h2", {}, "Statistics"),
    facts("settings", [
      ["Fires on tokens", count(found.n_activations)],
      ["Share of tokens", number(found.token_density)],
      ["In windows", count(found.n_windows)],
      ["In contexts", count(found.n_contexts)],
      ["Strongest activation", number(found.strongest_activation ?? found.max_activation)],
      ["Mean activation", number(found.mean_activation)],
      ["Median activation", number((found.activation_quantiles || [])[2])],
      ["Burstiness", number(found.burstiness)],
      ["Tokens for 80%", count(found.n_tokens_80)],
      ["Recall of top token", share(found.top_token_recall)],
      ["Token entropy, bits", number(found.token_entropy)],
      ["Position bias", number(found.position_bias)],
      ["Decoder norm", number(found.decoder_norm)],
      ["Encoder norm", number(found.encoder_norm)],
      ["Encoder · decoder", number(found.encoder_decoder_cosine)],
    ]));

  return { draw };
})();
