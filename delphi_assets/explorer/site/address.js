// What is shown is in the address, behind '#': /run/hookpoint, /run/hookpoint/latents?...,
// /run/hookpoint/latent/123?... . The list's search, order and filters stay in the address of a
// latent, so that next, previous and back know them.
"use strict";

explorer.address = (() => {
  const read = () => {
    const [path, query] = splitOnce(location.hash.replace(/^#\/?/, ""), "?");
    const [run, hookpoint, view, latent] = path.split("/").map(decode);
    const known = view === "latents" || (view === "latent" && /^\d+$/.test(latent || ""));
    return {
      run: run || null,
      hookpoint: hookpoint || null,
      view: known ? view : "overview",
      latent: Number(latent),
      query: new URLSearchParams(query),
    };
  };

  const splitOnce = (text, separator) => {
    const at = text.indexOf(separator);
    return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
  };

  // An address that somebody typed may hold a lone '%'.
  const decode = (part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  };

  const to = (place, view, query) => {
    const parts = [place.run, place.hookpoint].map(encodeURIComponent);
    const given = query ? String(query) : "";
    return `#/${[...parts, ...(view ? [view] : [])].join("/")}${given ? `?${given}` : ""}`;
  };

  const toLatent = (place, latent, query) => to(place, `latent/${latent}`, query);

  // The query with some entries changed; null, "" and undefined take an entry away.
  const changed = (query, entries) => {
    const made = new URLSearchParams(query);
    for (const [name, value] of Object.entries(entries)) {
      if (value === null || value === undefined || value === "") made.delete(name);
      else made.set(name, value);
    }
    return made;
  };

  // A range "low..high" of which either end may be missing; null when it is none.
  const range = (text) => {
    const match = /^([^.]*(?:\.\d[^.]*)?)\.\.(.*)$/.exec(text || "");
    if (!match) return null;
    const [low, high] = [match[1], match[2]].map((end) => (end.trim() === "" ? null : Number(end)));
    if (Number.isNaN(low) || Number.isNaN(high) || (low === null && high === null)) return null;
    return [low, high];
  };

  // Without a place in the history for every key that is typed.
  const replace = (address) => {
    history.replaceState(null, "", address);
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  };

  return { read, to, toLatent, changed, range, replace };
})();
