// Data files are scripts, so that they load from disk too: each calls explorerData(key, value).
"use strict";

explorer.data = (() => {
  const FORMAT = 2;
  const KEPT = 40;
  const held = new Map();
  const arrived = new Map();

  window.explorerData = (key, value) => arrived.set(key, value);

  const address = (path) =>
    path.split("/").map(encodeURIComponent).join("/").replaceAll("%3D", "=");

  // The same key comes in files of several folders: the value is taken as soon as its script ran.
  const script = (path, key) =>
    new Promise((resolve, reject) => {
      const element = document.createElement("script");
      element.src = `${address(path)}.js`;
      element.onload = () => {
        element.remove();
        if (arrived.has(key)) resolve(arrived.get(key));
        else reject(new Error(`${path}.js is not a data file of this site.`));
        arrived.delete(key);
      };
      element.onerror = () => {
        element.remove();
        const advice = "If the site was written anew, reload this page.";
        reject(new Error(`${path}.js cannot be read. ${advice}`));
      };
      document.head.append(element);
    });

  const load = (folder, key) => {
    const path = `${folder}/${key}`;
    if (!held.has(path)) {
      const promise = script(path, key);
      promise.catch(() => held.delete(path));
      held.set(path, promise);
    }
    return held.get(path);
  };

  // Pages are many: only the last ones are kept.
  const loadPage = (folder, key) => {
    const promise = load(folder, key);
    const pages = [...held.keys()].filter((path) => /\/(latents|calls)\/\d+$/.test(path));
    for (const path of pages.slice(0, Math.max(0, pages.length - KEPT))) {
      if (path !== `${folder}/${key}`) held.delete(path);
    }
    return promise;
  };

  const places = async () => {
    const found = await load("data", "index");
    const other = found.find((place) => place.format !== FORMAT);
    if (other) {
      const name = `${other.run} ${other.hookpoint}`;
      throw new Error(`The data of ${name} are of another version; write the site anew.`);
    }
    return found;
  };

  return { load, loadPage, places };
})();
