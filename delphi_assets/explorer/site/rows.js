// The list of latents of a place: its columns, loaded piece by piece, and what a query leaves of
// them. No drawing here.
"use strict";

explorer.rows = (() => {
  const { missing } = explorer.elements;

  // Names in addresses, of columns that are not scores.
  const SORTS = { latent: "latents", density: "densities", max: "maxima", state: "states" };

  // Columns of a set, each with an id for addresses: the scorer's name, with its judge and way of
  // asking where the name alone does not tell.
  const columnsOf = (overview, set) => {
    const own = overview.columns
      .map((column, number) => ({ ...column, number }))
      .filter((column) => column.set === set);
    const id = (column, length) =>
      [column.scorer, column.judge, column.judge_hash].slice(0, length).join("~");
    const alone = (column) => (length) =>
      own.filter((other) => id(other, length) === id(column, length)).length === 1;
    return own.map((column) => {
      const name = id(column, [1, 2, 3].find(alone(column)) || 3);
      return { ...column, id: name, label: name.replaceAll("~", " · ") };
    });
  };

  const setId = (set) => [set.selection, set.explainer, set.explainer_model].join("~");

  const setOf = (overview, query) => {
    const found = overview.sets.findIndex((set) => setId(set) === query.get("set"));
    return Math.max(0, found);
  };

  // Columns of labels; `place` is where its values are among those of its kind, numbers or texts.
  const labelsOf = (overview) => {
    const seen = { true: 0, false: 0 };
    // Data that an earlier version wrote have none.
    return (overview.labels ?? []).map((one) => {
      const label = `${one.source}.${one.name}`;
      return { ...one, label, id: `label.${label}`, place: seen[one.are_numbers]++ };
    });
  };

  // A column with an entry a row: null where a file has none.
  const spread = (at, values, n) => {
    if (!values) return new Array(n).fill(null);
    if (!at) return values;
    const full = new Array(n).fill(null);
    at.forEach((row, place) => (full[row] = values[place]));
    return full;
  };

  const loadNumbers = async (folder, overview) => {
    const load = (piece) => explorer.data.load(folder, `numbers/${piece}`);
    const pieces = await Promise.all(overview.pieces.map(load));
    const all = (name) => pieces.flatMap((piece) => piece[name]);
    return {
      starts: starts(pieces),
      latents: all("latent"),
      densities: all("token_density"),
      // Data that an earlier version wrote call it max_activation.
      maxima: pieces.flatMap((piece) => piece.strongest_activation ?? piece.max_activation),
      states: all("states"),
      scores: overview.columns.map((_, number) => {
        const kind = (name) =>
          pieces.flatMap((piece) => {
            const column = piece.columns[number];
            return spread(column.at, column[name], piece.latent.length);
          });
        return { own: kind("own"), shuffled: kind("shuffled"), empty: kind("empty") };
      }),
      labels: labelsOf(overview).filter((one) => one.are_numbers).map(({ place }) =>
        pieces.flatMap((piece) => {
          const { at, values } = piece.labels[place];
          return spread(at, values, piece.latent.length);
        })),
    };
  };

  const starts = (pieces) => {
    const edges = [0];
    for (const piece of pieces) edges.push(edges[edges.length - 1] + piece.latent.length);
    return edges;
  };

  const pieceOf = (numbers, row) => {
    let piece = 0;
    while (numbers.starts[piece + 1] <= row) piece += 1;
    return piece;
  };

  // Texts of one piece: top tokens, labels, and the set's explanations with which are failures.
  const loadTexts = async (folder, overview, set, piece, n) => {
    const number = overview.pieces[piece];
    const none = { at: [], texts: [], failed: [] };
    const load = (key) => explorer.data.load(folder, key);
    const [tokens, texts] = await Promise.all([
      load(`tokens/${number}`), overview.sets.length ? load(`texts/${set}/${number}`) : none,
    ]);
    const failed = new Set(texts.failed);
    const labels = (tokens.labels ?? []).map(({ at, values }) => spread(at, values, n));
    return { tokens: tokens.tokens, texts: spread(texts.at, texts.texts, n), failed, labels };
  };

  // What is searched: a line a latent, lower case.
  const haystack = (texts) =>
    texts.tokens.map((tokens, row) =>
      [texts.texts[row] || "", ...tokens, ...texts.said[row]].join("\u0001").toLowerCase());

  const within = (value, [low, high]) =>
    !missing(value) && (low === null || value >= low) && (high === null || value <= high);

  // Words of a search: all have to be found. "token:x" looks at top tokens only.
  const words = (text) => text.trim().toLowerCase().split(/\s+/).filter(Boolean);

  const matcher = (list, text) => {
    const wanted = words(text);
    if (!wanted.length) return null;
    const one = /^#?(\d+)$/.exec(text.trim());
    const latent = one ? Number(one[1]) : null;
    const tests = wanted.map((word) => {
      if (!word.startsWith("token:")) return (row) => list.haystack[row].includes(word);
      const token = word.slice("token:".length);
      return (row) => list.tokens[row].some((other) => other.toLowerCase().includes(token));
    });
    return (row) => list.numbers.latents[row] === latent || tests.every((test) => test(row));
  };

  const filters = (list, query) => {
    const tests = [];
    const states = query.get("state");
    if (states) {
      const wanted = new Set(states.split(",").map((name) => list.stateNames.indexOf(name)));
      tests.push((row) => wanted.has(list.numbers.states[row]));
    }
    const ranges = [
      ["density", list.numbers.densities],
      ["max", list.numbers.maxima],
      ...list.columns.map((one) => [`score.${one.id}`, list.numbers.scores[one.number].own]),
      ...list.labels.filter((one) => one.are_numbers)
        .map((one) => [one.id, list.numbers.labels[one.place]]),
    ];
    for (const [name, values] of ranges) {
      const range = explorer.address.range(query.get(name));
      if (range) tests.push((row) => within(values[row], range));
    }
    return tests;
  };

  const sortValues = (list, name) => {
    if (SORTS[name]) return list.numbers[SORTS[name]];
    const label = list.labels.find((one) => one.are_numbers && one.id === name);
    if (label) return list.numbers.labels[label.place];
    const column = list.columns.find((one) => one.id === name);
    return column ? list.numbers.scores[column.number].own : null;
  };

  // Rows that a query leaves, in its order; latents without a value come last, ties by latent.
  const chosen = (list, query) => {
    const search = list.haystack ? matcher(list, query.get("q") || "") : null;
    const tests = [...filters(list, query), ...(search ? [search] : [])];
    const rows = [];
    const n = list.numbers.latents.length;
    for (let row = 0; row < n; row += 1) if (tests.every((test) => test(row))) rows.push(row);
    const sort = query.get("sort") || "latent";
    const values = sortValues(list, sort.replace(/^-/, ""));
    if (!values || sort === "latent") return rows;
    const sign = sort.startsWith("-") ? -1 : 1;
    return rows.sort((a, b) => {
      const [x, y] = [values[a], values[b]];
      if (missing(x) || missing(y)) return missing(x) - missing(y) || a - b;
      return sign * (x - y) || a - b;
    });
  };

  return { columnsOf, labelsOf, setId, setOf, loadNumbers, loadTexts, pieceOf, haystack, chosen };
})();
