// @ts-check
// The script of the pages: shows what has changed on the server, and sends what buttons ask for.
"use strict";

/** What is said at the top of every page. @param {"lost" | "said"} id @param {string} text nothing: it is hidden */
function say(id, text) {
  const place = /** @type {HTMLElement} */ (document.getElementById(id));
  if (place.textContent !== text) place.textContent = text;
  place.hidden = text === "";
}

const SILENT = "Stride does not answer. This page goes on when it does.";

/** Ask for the page again, and show what has changed. Nothing else moves. */
async function update() {
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  if (!response.ok) {
    const parts = Array.from(page.querySelectorAll("main h1, main p"), (each) => each.textContent?.trim());
    say("lost", parts.join(". ").replaceAll("..", ".") || SILENT);
    if (response.status === 404) stopFollowing(); // deleted: nothing comes any more
    return;
  }
  say("lost", "");
  const [old, fresh] = [document, page].map((each) => /** @type {HTMLElement} */ (each.getElementById("main")));
  patchChildren(old, fresh);
  arrangeTables();
  fill();
}

/** What each figure and each place was last filled with. @type {WeakMap<Element, string>} */
const filled = new WeakMap();
let isLoading = false;

/** Draw figures and load places that are new or have changed. */
function fill() {
  const figures = Array.from(document.querySelectorAll("[data-figure]"), (place) => /** @type {HTMLElement} */ (place));
  drawSoon(figures.filter((place) => filled.get(place) !== place.dataset.figure));
  for (const place of figures) filled.set(place, place.dataset.figure ?? "");
  load();
}

/** Load places that take the server a moment, one after the other; each again when what it rests on has changed. */
async function load() {
  if (isLoading) return; // the loop that runs sees the new ones, too
  isLoading = true;
  try {
    for (let place = nextToLoad(); place; place = nextToLoad()) {
      filled.set(place, place.dataset.seen ?? "");
      const response = await fetch(place.dataset.load ?? "");
      if (response.ok) place.innerHTML = await response.text();
    }
  } catch {
    // Stride does not answer, which the stream of changes notices; the next update loads the others.
  } finally {
    isLoading = false;
  }
}

/** @returns {HTMLElement | undefined} */
function nextToLoad() {
  const places = Array.from(document.querySelectorAll("[data-load]"), (place) => /** @type {HTMLElement} */ (place));
  return places.find((place) => filled.get(place) !== (place.dataset.seen ?? ""));
}

/** Send what a button asks for, and say so where it is refused; a job that was made is shown. @param {HTMLButtonElement} button */
async function post(button) {
  const { post: address = "", body, ask, once } = button.dataset;
  if (ask && !window.confirm(ask)) return;
  button.disabled = true;
  say("said", "");
  const headers = { ...(body && { "Content-Type": "application/json" }), ...(once && { "Idempotency-Key": once }) };
  try {
    const response = await fetch(address, { method: "POST", body, headers });
    if (!response.ok) say("said", await refusal(response));
    const made = response.headers.get("Location");
    if (response.ok && made) location.assign(made.replace("/v1", ""));
    else await update();
  } catch {
    say("said", "Stride does not answer: it is not known whether this was done.");
  } finally {
    button.disabled = false;
  }
}

/** @param {Response} response */
async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  return problem.detail ?? problem.title ?? `Something between this page and Stride answered ${response.status}: it is not known whether this was done.`;
}

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("button") : null;
  if (button?.dataset.post) post(button);
});

/** Updates, one after the other: an older page must not replace a newer one. */
let updates = Promise.resolve();
let isNextDue = false;

/** What tells that something has changed. @type {EventSource | null} */
let changes = null;
const AGAIN_MS = 3_000;

/** Follow what the page shows while somebody looks: browsers open six connections to a server, for all tabs together. */
function follow() {
  changes?.close();
  changes = null;
  const address = document.body.dataset.changes;
  if (!address || document.hidden) return;
  const stream = new EventSource(address);
  changes = stream;
  stream.addEventListener("changed", () => {
    if (isNextDue) return; // what has changed meanwhile comes with it
    isNextDue = true;
    updates = updates.then(() => ((isNextDue = false), update())).catch(() => say("lost", SILENT));
  });
  stream.addEventListener("error", () => {
    // A stream that has only ended is asked for again by the browser; one that was refused is not.
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => changes === stream && follow(), AGAIN_MS);
    fetch("/healthz").then(
      (response) => response.ok || say("lost", SILENT),
      () => say("lost", SILENT),
    );
  });
}

function stopFollowing() {
  changes?.close();
  changes = null;
  delete document.body.dataset.changes;
}

fill();
follow();
document.addEventListener("visibilitychange", follow);
window.addEventListener("pagehide", () => changes?.close());
window.addEventListener("pageshow", (event) => event.persisted && follow()); // gone back to
