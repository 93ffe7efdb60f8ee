// The image page: a divider between original and output, the choice of k, and zoom.
const stage = document.getElementById("stage");
if (stage) {
  const [layers, original, output, divider, split] = ["layers", "original", "output", "divider", "split"].map((id) =>
    document.getElementById(id),
  );

  // The divider stays where it is on the screen while an enlarged picture is scrolled below it.
  function divide() {
    const visible = Math.min(stage.clientWidth, layers.offsetWidth);
    const at = stage.scrollLeft + (visible * split.value) / 100;
    // Both are clipped: under a transparent original the output must not be seen.
    original.style.clipPath = `inset(0 ${layers.offsetWidth - at}px 0 0)`;
    output.style.clipPath = original.hidden ? "none" : `inset(0 0 0 ${at}px)`;
    divider.style.left = `${at}px`;
  }

  function zoom(value) {
    const before = layers.offsetWidth;
    const center = (stage.scrollLeft + stage.clientWidth / 2) / before;
    const middle = (stage.scrollTop + stage.clientHeight / 2) / layers.offsetHeight;
    layers.style.width = value === "fit" ? "" : `${output.getAttribute("width") * value}px`;
    layers.classList.toggle("enlarged", Number(value) >= 2);
    stage.scrollLeft = center * layers.offsetWidth - stage.clientWidth / 2;
    stage.scrollTop = middle * layers.offsetHeight - stage.clientHeight / 2;
    divide();
  }

  split.addEventListener("input", divide);
  stage.addEventListener("scroll", divide);
  new ResizeObserver(divide).observe(layers);
  original.addEventListener("error", () => {
    original.hidden = divider.hidden = true;
    document.getElementById("unshown").hidden = false;
    divide();
  });
  if (original.complete && !original.naturalWidth) original.dispatchEvent(new Event("error"));

  let dragging = false;
  function drag(event) {
    if (!dragging) return;
    const left = Math.max(stage.getBoundingClientRect().left, layers.getBoundingClientRect().left);
    const visible = Math.min(stage.clientWidth, layers.offsetWidth);
    split.value = Math.max(0, Math.min(100, (100 * (event.clientX - left)) / visible));
    divide();
  }
  divider.addEventListener("pointerdown", (event) => {
    dragging = true;
    divider.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  divider.addEventListener("pointermove", drag);
  divider.addEventListener("pointerup", () => (dragging = false));

  for (const choice of document.querySelectorAll("input[name=zoom]")) {
    choice.addEventListener("change", () => zoom(choice.value));
  }
  for (const choice of document.querySelectorAll("input[name=ground]")) {
    choice.addEventListener("change", () => (layers.dataset.ground = choice.value));
  }
  for (const choice of document.querySelectorAll("input[name=k]")) {
    choice.addEventListener("change", () => {
      output.src = choice.dataset.output;
      output.alt = choice.dataset.alt;
      document.getElementById("shown-k").textContent = choice.value;
    });
  }
  divide();
}
