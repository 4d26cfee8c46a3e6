// Small charts. Each is one image to a screen reader, with what it shows as its name; sizes are in
// pixels of its view box.
"use strict";

explorer.charts = (() => {
  const { h, svg, count, number, score, share, missing } = explorer.elements;

  const STEP = 0.05;

  const image = (width, height, label, ...children) => {
    const size = { viewBox: `0 0 ${width} ${height}`, width, height };
    return svg("svg", { ...size, role: "img", "aria-label": label, class: "chart" }, ...children);
  };

  const rect = (kind, x, y, width, height, title) =>
    svg("rect", { class: kind, x, y, width, height }, title && svg("title", {}, title));

  const line = (kind, x1, y1, x2, y2, title) =>
    svg("line", { class: kind, x1, y1, x2, y2 }, title && svg("title", {}, title));

  const text = (x, y, anchor, content) => svg("text", { x, y, "text-anchor": anchor }, content);

  // Latents by density, a quarter of a decade a bar; a bar leads to its latents.
  const densities = (bins, link) => {
    const live = bins.filter(([low]) => !missing(low));
    if (!live.length) {
      return h("p", { class: "quiet" }, "No latent fires, or densities are unknown.");
    }
    const low = Math.floor(live[0][0]);
    const high = Math.max(Math.ceil(live[live.length - 1][0] + 0.25), low + 1);
    const [width, height, left, right, floor] = [560, 190, 46, 552, 154];
    const most = Math.max(...live.map(([, n]) => n));
    const x = (value) => left + ((value - low) / (high - low)) * (right - left);
    const y = (n) => floor - (n / most) * (floor - 14);
    const decades = Array.from({ length: high - low + 1 }, (_, place) => low + place);
    const bars = live.map(([from, n]) => {
      const [start, end] = [10 ** from, 10 ** (from + 0.25)];
      const label = `${count(n)} latents fire on ${number(start)} to ${number(end)} of tokens`;
      const wide = Math.max(1, x(from + 0.25) - x(from) - 1);
      const bar = rect("bar", x(from) + 0.5, y(n), wide, floor - y(n), label);
      return svg("a", { href: link(start, end), "aria-label": label }, bar);
    });
    const name = { role: "group", "aria-label": "Latents by firing density" };
    return svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart wide", ...name },
      line("axis", left, floor, right, floor),
      decades.map((decade) => [
        line("axis", x(decade), floor, x(decade), floor + 4),
        text(x(decade), floor + 16, "middle", `1e${decade}`),
      ]),
      text(left - 6, y(most) + 4, "end", count(most)),
      text(left - 6, floor, "end", "0"),
      text((left + width) / 2, height - 4, "middle", "share of tokens on which a latent fires"),
      bars);
  };

  // Bins as shares of their total; the last bin holds what equals the upper end of the range.
  const shares = (bins, high) => {
    const total = bins.reduce((sum, [, n]) => sum + n, 0);
    return bins.map(([bin, n]) => [Math.min(bin, high - STEP), n / total]);
  };

  // Scores of one scorer: own as bars, floors as lines, each as a share of its own total.
  const distribution = (kinds, [low, high], label) => {
    const [width, height, floor] = [250, 110, 92];
    const x = (value) => 6 + ((value - low) / (high - low)) * (width - 12);
    const own = shares(kinds.own || [], high);
    const most = 1.15 * Math.max(...own.map(([, n]) => n), 0.05);
    const y = (n) => floor - (Math.min(n, most) / most) * (floor - 4);
    const bars = own.map(([bin, n]) => {
      const title = `${bin.toFixed(2)} to ${(bin + STEP).toFixed(2)}: ${share(n)}`;
      return rect("bar", x(bin) + 0.5, y(n), x(bin + STEP) - x(bin) - 1, floor - y(n), title);
    });
    const outline = (kind) => {
      const held = new Map();
      for (const [bin, n] of shares(kinds[kind], high)) held.set(Math.round(bin / STEP), n);
      let path = "";
      for (let bin = Math.round(low / STEP); bin < Math.round(high / STEP); bin += 1) {
        const level = y(held.get(bin) || 0);
        path += `${path ? "L" : "M"}${x(bin * STEP)} ${level}L${x((bin + 1) * STEP)} ${level}`;
      }
      return svg("path", { class: `line ${kind}`, d: path });
    };
    const anchors = ["start", "middle", "end"];
    return image(width, height, label,
      bars,
      ["shuffled", "empty"].filter((kind) => kinds[kind]).map(outline),
      line("axis", 6, floor, width - 6, floor),
      [low, (low + high) / 2, high].map((tick, place) =>
        text(x(tick), height - 4, anchors[place], String(tick))));
  };

  // Share of windows found in each rank bin, the strongest first: own with whiskers, another latent's
  // explanation as a line, and what is claimed of silent windows as a dotted one.
  const recall = (curves, claimed, label) => {
    const [width, height, left, floor] = [250, 110, 28, 92];
    const last = Math.max(...Object.values(curves).flat().map(([bin]) => bin), 1);
    const x = (bin) => left + 8 + (bin / last) * (width - left - 16);
    const y = (part) => floor - part * (floor - 6);
    const own = curves.own || [];
    const path = (points) =>
      points.map(([bin, part], at) => `${at ? "L" : "M"}${x(bin)} ${y(part)}`).join("");
    return image(width, height, label,
      [0, 1].map((tick) => text(left - 4, y(tick) + 4, "end", String(tick))),
      line("axis", left, floor, width, floor),
      line("axis", left, y(1), left, floor),
      !missing(claimed) && line("floor chance", left, y(claimed), width, y(claimed)),
      curves.shuffled && svg("path", { class: "line shuffled", d: path(curves.shuffled) }),
      own.map(([bin, , low, high]) =>
        !missing(low) && line("whisker", x(bin), y(low), x(bin), y(high))),
      svg("path", { class: "line found", d: path(own) }),
      own.map(([bin, part]) => svg("circle", { class: "own", cx: x(bin), cy: y(part), r: 3 },
        svg("title", {}, `rank bin ${bin + 1}: ${share(part)} found`))),
      text(left, height - 4, "start", "strongest"),
      text(width, height - 4, "end", "weakest"));
  };

  // Activations in equally wide bins; heights are of the logarithm, so that rare strong ones show.
  const activations = (bins, low, high) => {
    const [width, height, floor] = [300, 92, 74];
    const most = Math.log1p(Math.max(...bins));
    const step = (width - 4) / bins.length;
    const edge = (place) => number(low + (place * (high - low)) / bins.length);
    const bars = bins.map((n, place) => {
      const tall = n ? Math.max(1.5, (Math.log1p(n) / most) * (floor - 4)) : 0;
      const title = `${edge(place)} to ${edge(place + 1)}: ${count(n)}`;
      return rect("bar", 2 + place * step + 0.5, floor - tall, step - 1, tall, title);
    });
    const total = count(bins.reduce((sum, n) => sum + n, 0));
    const label = `Histogram of ${total} activations from ${number(low)} to ${number(high)}, ` +
      "heights on a logarithmic scale";
    return image(width, height, label,
      bars,
      line("axis", 2, floor, width - 2, floor),
      text(2, height - 4, "start", number(low)),
      text(width - 2, height - 4, "end", number(high)));
  };

  const between = (value, low) => (Math.min(1, Math.max(low, value)) - low) / (1 - low);

  // A score with its interval and floors on a line from 0 (correlations: -1) to 1.
  const interval = (row) => {
    const [width, height, middle] = [150, 18, 9];
    const low = row.metric === "correlation" ? -1 : 0;
    const x = (value) => 5 + between(value, low) * (width - 10);
    const kinds = ["shuffled", "empty", "lexical", "chance"].filter((kind) => !missing(row[kind]));
    const named = ["own", ...kinds].map((kind) => `${kind} ${score(row[kind])}`);
    return image(width, height, named.join(", "),
      line("axis", 5, middle, width - 5, middle),
      [low, (low + 1) / 2, 1].map((tick) => line("axis", x(tick), middle - 3, x(tick), middle + 3)),
      kinds.map((kind, place) =>
        line(`floor ${kind}`, x(row[kind]), 2, x(row[kind]), height - 2, named[place + 1])),
      !missing(row.own_low) && line("whisker", x(row.own_low), middle, x(row.own_high), middle),
      !missing(row.own) && svg("circle", { class: "own", cx: x(row.own), cy: middle, r: 4 }));
  };

  // A score in a row of the list: a bar up to it, and its floor as a line across.
  const cell = (own, floor, low) => {
    const [width, height] = [46, 10];
    const x = (value) => between(value, low) * width;
    const above = missing(floor) || own > floor;
    const size = { viewBox: `0 0 ${width} ${height}`, width, height };
    return svg("svg", { ...size, class: "chart", "aria-hidden": "true" },
      rect("track", 0, 3, width, 4),
      rect(above ? "bar" : "bar below", 0, 3, x(own), 4),
      !missing(floor) && line("floor shuffled", x(floor), 0, x(floor), height));
  };

  // A share of the largest one, as a bar as wide as its cell.
  const meter = (part) =>
    svg("svg", {
      viewBox: "0 0 100 8", class: "chart meter", preserveAspectRatio: "none", "aria-hidden": "true",
    }, rect("bar", 0, 0, 100 * (part || 0), 8));

  // Parts of a whole, side by side.
  const parts = (counts, label) => {
    const total = counts.reduce((sum, [, n]) => sum + n, 0) || 1;
    let at = 0;
    const shown = counts.map(([name, n]) => {
      const part = rect(`part part-${name}`, at, 0, (1000 * n) / total, 22);
      at += (1000 * n) / total;
      return part;
    });
    const size = { viewBox: "0 0 1000 22", preserveAspectRatio: "none" };
    return svg("svg", { ...size, class: "parts", role: "img", "aria-label": label }, shown);
  };

  return { densities, distribution, recall, activations, interval, cell, meter, parts };
})();
