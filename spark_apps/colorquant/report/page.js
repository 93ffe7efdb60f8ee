"use strict";
// The page works without this script, which adds search, sorting and the comparison, and opens the image of a link.
(() => {
  const tools = document.querySelector(".tools");
  const list = document.querySelector(".images");
  const images = [...list.children];
  const field = (name) => tools.elements[name];
  const descending = new Set(["gain", "share", "size"]);

  function sort() {
    const key = field("sort").value;
    const sign = descending.has(key) ? -1 : 1;
    // An image without the figure comes last.
    const value = (image) => Number(image.dataset[key === "name" ? "number" : key] ?? sign * Infinity);
    images.sort((a, b) => (value(a) === value(b) ? a.dataset.number - b.dataset.number : sign * (value(a) - value(b))));
    list.append(...images);
  }

  function search() {
    const wanted = field("search").value.trim().toLowerCase();
    let shown = 0;
    for (const image of images) {
      image.hidden = !image.dataset.name.toLowerCase().includes(wanted);
      shown += !image.hidden;
    }
    tools.querySelector("output").textContent = `${shown} of ${images.length} shown`;
  }

  function compare(image) {
    const figure = image.querySelector(".compare");
    if (!figure || !figure.hidden) return;
    const picture = (k) => image.querySelector(`.strip figure[data-k="${k}"] .frame img`);
    const pair = figure.querySelector(".pair");
    const [before, after, line] = ["img", "img", "i"].map((tag) => pair.appendChild(document.createElement(tag)));
    line.ariaHidden = "true";
    const [range, choice] = [figure.querySelector("input"), figure.querySelector("select")];
    const show = (target, name, source) => {
      target.src = source.src;
      target.alt = source.alt;
      target.className = `${name} ${source.className}`;
    };
    const showOutput = () => show(after, "after", picture(choice.value));
    const move = () => figure.style.setProperty("--at", `${range.value}%`);
    show(before, "before", picture(0));
    choice.addEventListener("change", showOutput);
    showOutput();
    range.addEventListener("input", move);
    const drag = (event) => {
      const box = pair.getBoundingClientRect();
      range.value = 100 * (event.clientX - box.left) / box.width;
      move();
    };
    pair.addEventListener("pointerdown", (event) => {
      pair.setPointerCapture(event.pointerId);
      drag(event);
    });
    pair.addEventListener("pointermove", (event) => { if (event.buttons) drag(event); });
    pair.style.aspectRatio = `${picture(0).getAttribute("width")} / ${picture(0).getAttribute("height")}`;
    figure.hidden = false;
  }

  function open() {
    const named = document.getElementById(location.hash.slice(1));
    if (!named || !named.matches("details.image")) return;
    named.open = true;
    named.hidden = false;
    named.scrollIntoView();
  }

  for (const image of images) {
    image.addEventListener("toggle", () => { if (image.open) compare(image); });
    if (image.open) compare(image);
  }
  field("search").addEventListener("input", search);
  field("sort").addEventListener("change", sort);
  tools.addEventListener("submit", (event) => event.preventDefault());
  field("all").addEventListener("click", () => {
    const opening = images.some((image) => !image.hidden && !image.open);
    for (const image of images) if (!image.hidden) image.open = opening;
    field("all").textContent = opening ? "Close all" : "Open all";
  });
  addEventListener("hashchange", open);
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const part of closed) part.open = true;
  });
  addEventListener("afterprint", () => { for (const part of closed) part.open = false; });
  tools.hidden = images.length < 2;
  // A reload keeps the contents of the fields. The page is sorted by gain.
  if (field("sort").value !== "gain") sort();
  search();
  open();
})();
