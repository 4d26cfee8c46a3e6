// The page: draws what the address says, and reacts to keys.
"use strict";

(() => {
  const { h, announce } = explorer.elements;
  const main = document.getElementById("main");

  let drawing = 0;
  let shown = null;

  const placeOf = (places, asked) =>
    places.find((place) => place.run === asked.run && place.hookpoint === asked.hookpoint);

  const view = async (places, asked) => {
    const place = asked.run === null && places.length === 1 ? places[0] : placeOf(places, asked);
    crumbs(places, place, asked);
    if (!place) {
      document.title = "Latent explorer";
      if (asked.run !== null) announce("No such run and hookpoint");
      return explorer.overview.drawPlaces(places);
    }
    const where = `${place.hookpoint}, ${place.run}`;
    document.title = `${where} – latent explorer`;
    if (asked.view === "latent") {
      document.title = `Latent ${asked.latent}, ${where}`;
      return explorer.latent.draw(place, asked.latent, asked.query);
    }
    if (asked.view === "latents") return explorer.list.draw(place, asked.query);
    return explorer.overview.draw(place, asked.query);
  };

  const crumbs = (places, place, asked) => {
    const here = (view, label, href) =>
      h("a", { href, "aria-current": asked.view === view ? "page" : null }, label);
    document.getElementById("crumbs").replaceChildren(...[
      places.length > 1 || !place ? h("a", { href: "#/" }, "Latent explorer") : null,
      place && h("span", { class: "place" }, place.hookpoint, h("small", {}, place.run)),
      place && here("overview", "Overview", explorer.address.to(place)),
      place && here("latents", "Latents", explorer.address.to(place, "latents")),
    ].filter(Boolean));
  };

  // A later address may be drawn sooner: the last one asked for is shown.
  const draw = async () => {
    const mine = (drawing += 1);
    const asked = explorer.address.read();
    const kind = [asked.run, asked.hookpoint, asked.view, asked.latent].join("/");
    const focused = document.activeElement && document.activeElement.id;
    let element;
    try {
      element = await view(await explorer.data.places(), asked);
    } catch (error) {
      element = h("p", { class: "failure", role: "alert" }, error.message);
    }
    if (mine !== drawing) return;
    if (main.firstChild !== element) main.replaceChildren(element);
    hideTip();
    const again = focused && document.getElementById(focused);
    if (again && again !== document.activeElement) again.focus();
    if (kind !== shown) {
      window.scrollTo(0, 0);
      if (shown !== null && !again) main.focus({ preventScroll: true });
      returnTo(asked);
    }
    shown = kind;
    document.documentElement.setAttribute("data-drawn", String(mine));
  };

  // Back in the list, the latent one comes from has the focus.
  let left = null;
  const returnTo = (asked) => {
    if (asked.view === "latents" && left !== null) {
      const row = document.getElementById(`row-${left}`);
      if (row) row.querySelector("a").focus();
    }
    if (asked.view === "latent") left = asked.latent;
  };

  const click = (id) => {
    const element = document.getElementById(id);
    if (element) element.click();
  };

  const links = () => [...document.querySelectorAll("#latents tbody th a")];

  const step = (by) => {
    const all = links();
    const at = all.indexOf(document.activeElement);
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by];
    if (next) {
      next.focus();
      next.closest("tr").scrollIntoView({ block: "nearest" });
    }
  };

  const typing = (element) => ["INPUT", "SELECT", "TEXTAREA"].includes(element.tagName);

  const keys = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const { view } = explorer.address.read();
    const search = document.getElementById("search");
    const inSearch = event.target === search;
    if (typing(event.target) && !inSearch) return;
    if (inSearch && !["ArrowDown", "Escape", "Enter"].includes(event.key)) return;
    const acts = {
      "/": () => (search ? search.focus() : click("back")),
      Escape: () => (inSearch ? search.blur() : click("back")),
    };
    if (view === "latents") {
      acts.j = acts.ArrowDown = () => step(1);
      acts.k = acts.ArrowUp = () => step(-1);
      if (inSearch) acts.Enter = () => step(1);
    }
    if (view === "latent") {
      acts.j = () => click("after");
      acts.k = () => click("before");
    }
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  };

  const tooltip = document.getElementById("tooltip");
  const hideTip = () => (tooltip.hidden = true);

  const showTip = (event) => {
    const target = event.target instanceof Element && event.target.closest("[data-tip]");
    if (!target) {
      hideTip();
      return;
    }
    tooltip.textContent = target.getAttribute("data-tip");
    tooltip.hidden = false;
    const box = target.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left), window.innerWidth - tooltip.offsetWidth - 8);
    const below = box.bottom + 6 + tooltip.offsetHeight < window.innerHeight;
    tooltip.style.left = `${left}px`;
    tooltip.style.top = `${below ? box.bottom + 6 : box.top - tooltip.offsetHeight - 6}px`;
  };

  const theme = document.getElementById("theme");
  const nameTheme = () => (theme.textContent = `Theme: ${explorer.theme.current()}`);
  theme.addEventListener("click", () => {
    explorer.theme.next();
    nameTheme();
  });
  nameTheme();

  // The address is the page's own: the link would replace it.
  document.querySelector("a.skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });

  document.addEventListener("keydown", keys);
  document.addEventListener("mouseover", showTip);
  document.addEventListener("focusin", showTip);
  document.addEventListener("scroll", hideTip, { passive: true });
  window.addEventListener("hashchange", draw);
  draw();
})();
