// Within Airflow's frame: its theme, and links that lead out of the frame.
(() => {
  let airflow = null;
  try {
    for (let outer = window; outer !== outer.parent; ) {
      outer = outer.parent;
      airflow = outer.document;
    }
  } catch {
    return; // A page of another origin shows this one, which the headers do not allow.
  }
  const themes = ["dark", "light"];
  function follow() {
    const theme = themes.find((name) => airflow.documentElement.classList.contains(name));
    for (const name of themes) document.documentElement.classList.toggle(name, name === theme);
    for (const inner of document.querySelectorAll("iframe")) {
      const shown = inner.contentDocument?.documentElement;
      for (const name of themes) shown?.classList.toggle(name, name === theme);
    }
  }
  if (!airflow) return;
  follow();
  new MutationObserver(follow).observe(airflow.documentElement, { attributes: true, attributeFilter: ["class"] });
  addEventListener("DOMContentLoaded", () => {
    for (const inner of document.querySelectorAll("iframe")) inner.addEventListener("load", follow);
  });
  // The frame may not navigate Airflow's page; a link of that page may.
  addEventListener("click", (event) => {
    const link = event.target.closest?.("a[target=_top]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const copy = airflow.createElement("a");
    copy.href = link.href;
    copy.click();
  });
})();
