// Light or dark: as the system has it, until the reader chooses. Runs before anything is drawn.
"use strict";

const explorer = {};

explorer.theme = (() => {
  const KEY = "delphi-assets-theme";
  const CHOICES = ["system", "light", "dark"];

  // A browser may forbid storage to pages from disk; the choice then lasts as long as the page.
  const stored = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };
  let chosen = CHOICES.includes(stored()) ? stored() : "system";

  const apply = () => {
    if (chosen === "system") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.setAttribute("data-theme", chosen);
  };

  const next = () => {
    chosen = CHOICES[(CHOICES.indexOf(chosen) + 1) % CHOICES.length];
    try {
      localStorage.setItem(KEY, chosen);
    } catch {
      // See above.
    }
    apply();
    return chosen;
  };

  apply();
  return { next, current: () => chosen };
})();
