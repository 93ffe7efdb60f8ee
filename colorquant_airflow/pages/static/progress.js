// The page of a run that goes on: how far it is, asked for again while somebody looks.
const shown = document.getElementById("progress");
if (shown) {
  const seconds = 3;
  const timer = setInterval(async () => {
    if (document.hidden) return;
    const answer = await fetch(shown.dataset.source).catch(() => null);
    if (!answer?.ok) return; // The server may be starting again.
    const text = await answer.text();
    if (text !== shown.innerHTML) shown.innerHTML = text;
    if (shown.querySelector("a")) clearInterval(timer);
  }, seconds * 1000);
}
