// Light or dark: as Airflow around this page is, else as Airflow has noted it, else as the system says.
"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function around() {
    try {
      return parent !== window ? parent.document.documentElement : null;
    } catch {
      return null; // framed by somebody else
    }
  }

  function noted() {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null;
    }
  }

  // The very colour behind Airflow's own pages, where the frame lets it be seen.
  function behind() {
    try {
      for (let each = frameElement?.parentElement; each; each = each.parentElement) {
        const colour = each.ownerDocument.defaultView.getComputedStyle(each).backgroundColor;
        if (!/^rgba\(.*, 0\)$|transparent/.test(colour)) return colour;
      }
    } catch {
      // framed by somebody else
    }
    return null;
  }

  function apply() {
    const outer = around();
    const said = ["dark", "light"].find((each) => outer?.classList.contains(each)) ?? noted();
    const theme = said === "dark" || said === "light" ? said : dark.matches ? "dark" : "light";
    const own = document.documentElement;
    own.dataset.theme = theme;
    const back = behind();
    if (back) own.style.setProperty("--back", back);
    else own.style.removeProperty("--back");
  }

  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  addEventListener("load", apply);
  const outer = around();
  if (outer) new MutationObserver(apply).observe(outer, { attributes: true, attributeFilter: ["class"] });
})();
