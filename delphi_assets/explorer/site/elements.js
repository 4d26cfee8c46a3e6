// Elements of the page, and how numbers are written. All text goes in as text nodes: nothing that
// comes from a corpus or an LLM is ever read as HTML.
"use strict";

explorer.elements = (() => {
  const SVG = "http://www.w3.org/2000/svg";

  const fill = (element, attributes, children) => {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "value" || name === "checked") element[name] = value;
      else element.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat(Infinity)) {
      if (child !== null && child !== undefined && child !== false) element.append(child);
    }
    return element;
  };

  // An element: h("a", { href: "#/" }, "text", other elements).
  const h = (tag, attributes, ...children) =>
    fill(document.createElement(tag), attributes, children);

  const svg = (tag, attributes, ...children) =>
    fill(document.createElementNS(SVG, tag), attributes, children);

  const quiet = (...children) => h("p", { class: "quiet" }, ...children);

  const note = (...children) => h("span", { class: "quiet" }, ...children);

  const hidden = (text) => h("span", { class: "hidden" }, text);

  // A part of a page under a heading that names it.
  const section = (id, title, ...children) =>
    h("section", { "aria-labelledby": id }, h("h2", { id }, title), ...children);

  // The head of a table: names of columns, those from `right` on over numbers.
  const heads = (names, right) =>
    h("thead", {}, h("tr", {}, names.map((name, place) =>
      h("th", { scope: "col", class: place >= right ? "right" : null }, name))));

  // Names with their values, those without one left out.
  const facts = (kind, pairs) =>
    h("dl", { class: kind }, pairs.filter(([, value]) => !missing(value) && value !== "–")
      .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));

  const missing = (value) => value === null || value === undefined;

  const count = (value) => (missing(value) ? "–" : value.toLocaleString("en-US"));

  // Three digits, without powers of ten where the number is of usual size.
  const number = (value) => {
    if (missing(value)) return "–";
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1e5 || size < 1e-3) return value.toExponential(1);
    return String(Number(value.toPrecision(3)));
  };

  const score = (value) => (missing(value) ? "–" : value.toFixed(2));

  const share = (value) => (missing(value) ? "–" : `${Number((100 * value).toPrecision(2))}%`);

  const dollars = (value) => (missing(value) ? null : `$${Number(value.toPrecision(3))}`);

  const plural = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

  // A model's name without the folders before it.
  const short = (model) => model.split("/").pop();

  const METRICS = {
    balanced_accuracy: "balanced accuracy",
    correlation: "correlation",
    auroc: "AUROC",
    accuracy: "accuracy",
  };
  const metric = (name) => METRICS[name] || "score";

  const STATES = {
    dead: ["Dead", "never fires"],
    rare: ["Too rare", "fires in too few windows to be explained"],
    waiting: ["Not explained", "could be explained, nobody was asked"],
    failed: ["Failed", "asked for an explanation, got none"],
    explained: ["Not scored", "has an explanation, no score"],
    scored: ["Scored", "has an explanation and scores"],
  };

  const state = (name) =>
    h("span", { class: `state state-${name}`, title: STATES[name][1] }, STATES[name][0]);

  const announce = (text) => {
    document.getElementById("status").textContent = text;
  };

  return {
    h, svg, quiet, note, hidden, section, heads, facts, missing, count, number, score, share, dollars,
    plural, short, metric, STATES, state, announce,
  };
})();
