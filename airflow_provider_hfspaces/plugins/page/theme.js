// Light or dark: as the Airflow page around this one, else as Airflow has stored it, else as the system prefers.
"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function outerDocument() {
    try {
      return parent !== window ? parent.document.documentElement : null;
    } catch {
      return null; // another site frames the page
    }
  }

  function storedTheme() {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null;
    }
  }

  // The colour behind Airflow's own pages, if the frame lets this page see it.
  function outerBackground() {
    try {
      for (let element = frameElement?.parentElement; element; element = element.parentElement) {
        const colour = element.ownerDocument.defaultView.getComputedStyle(element).backgroundColor;
        if (!/^rgba\(.*, 0\)$|transparent/.test(colour)) return colour;
      }
    } catch {
      // another site frames the page
    }
    return null;
  }

  function apply() {
    const outer = outerDocument();
    const wanted = ["dark", "light"].find((name) => outer?.classList.contains(name)) ?? storedTheme();
    const own = document.documentElement;
    own.dataset.theme = wanted === "dark" || wanted === "light" ? wanted : dark.matches ? "dark" : "light";
    const background = outerBackground();
    if (background) own.style.setProperty("--back", background);
    else own.style.removeProperty("--back");
  }

  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  addEventListener("load", apply);
  const outer = outerDocument();
  if (outer) new MutationObserver(apply).observe(outer, { attributes: true, attributeFilter: ["class"] });
})();
