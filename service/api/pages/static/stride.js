// @ts-check
// The script of the pages: sorts and filters tables, sends what buttons ask for, and shows what has changed.
"use strict";

/** Sort the rows of a table by a column. @param {HTMLTableElement} table @param {number} column @param {boolean} ascending */
function sort(table, column, ascending) {
  const body = table.tBodies[0];
  /** @param {HTMLTableRowElement} row */
  const valueOf = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent ?? "";
  const rows = Array.from(body.rows).sort((one, other) => {
    const [a, b] = [valueOf(one), valueOf(other)];
    if (a === "" || b === "") return a === b ? 0 : a === "" ? 1 : -1; // without a value: last, in either order
    const order = Number.isNaN(Number(a)) || Number.isNaN(Number(b)) ? a.localeCompare(b) : Number(a) - Number(b);
    return ascending ? order : -order;
  });
  body.append(...rows);
  Array.from(table.tHead?.rows[0].cells ?? []).forEach((cell, place) => {
    if (place === column) cell.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    else cell.removeAttribute("aria-sort");
  });
}

/** Show the rows that hold all words. @param {HTMLTableElement} table @param {string} text */
function filter(table, text) {
  const words = text.toLowerCase().split(/\s+/);
  for (const row of table.tBodies[0].rows) {
    const held = (row.textContent ?? "").toLowerCase();
    row.hidden = !words.every((word) => held.includes(word));
  }
}

/** What a user has done to the tables of a part, to be done again when it is replaced. @type {Map<string, {column: number, ascending: boolean}>} */
const sorted = new Map();
/** @type {Map<string, string>} */
const filtered = new Map();

/** @param {ParentNode} part */
function restore(part) {
  part.querySelectorAll("table.sorts").forEach((table) => {
    const by = sorted.get(table.id);
    if (by) sort(/** @type {HTMLTableElement} */ (table), by.column, by.ascending);
  });
  part.querySelectorAll("input[data-filter]").forEach((element) => {
    const input = /** @type {HTMLInputElement} */ (element);
    input.value = filtered.get(input.dataset.filter ?? "") ?? input.value;
    const table = document.getElementById(input.dataset.filter ?? "");
    if (input.value && table) filter(/** @type {HTMLTableElement} */ (table), input.value);
  });
}

/** Ask for the page again, and replace the parts that have changed. Nothing else moves. */
async function update() {
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  const lost = /** @type {HTMLElement} */ (document.getElementById("lost"));
  lost.hidden = response.ok;
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const main = /** @type {HTMLElement} */ (document.getElementById("main"));
  const next = Array.from(page.querySelectorAll("[data-part]"));
  const kept = new Set(next.map((part) => part.getAttribute("data-part")));
  main.querySelectorAll("[data-part]").forEach((part) => kept.has(part.getAttribute("data-part")) || part.remove());
  next.forEach((fresh, place) => {
    const old = main.querySelector(`[data-part="${fresh.getAttribute("data-part")}"]`);
    if (!old) {
      const before = place === 0 ? null : main.querySelector(`[data-part="${next[place - 1].getAttribute("data-part")}"]`);
      const added = document.importNode(fresh, true);
      if (before) before.after(added);
      else main.prepend(added);
      prepare(added);
    } else if (fresh.querySelector("[data-figure]")) {
      const [plot, newer] = [old, fresh].map((each) => /** @type {HTMLElement} */ (each.querySelector("[data-figure]")));
      if (plot.dataset.figure === newer.dataset.figure) return;
      plot.dataset.figure = newer.dataset.figure;
      plot.setAttribute("aria-label", newer.getAttribute("aria-label") ?? "");
      const [text, newText] = [old, fresh].map((each) => each.querySelector("p.text"));
      if (text && newText) text.textContent = newText.textContent;
      draw(plot);
    } else if (made.get(old) !== fresh.innerHTML) {
      const focused = old.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement) : null;
      const ticked = Array.from(old.querySelectorAll("input:checked"), (box) => /** @type {HTMLInputElement} */ (box).value);
      made.set(old, fresh.innerHTML);
      old.replaceChildren(...Array.from(document.importNode(fresh, true).childNodes));
      restore(old);
      load(old);
      old.querySelectorAll("input[type=checkbox]").forEach((element) => {
        const box = /** @type {HTMLInputElement} */ (element);
        box.checked = ticked.includes(box.value);
      });
      const same = Array.from(old.querySelectorAll(focused?.tagName ?? "none")).find((each) => each.outerHTML === focused?.outerHTML);
      /** @type {HTMLElement | undefined} */ (same)?.focus({ preventScroll: true });
    }
  });
}

/** What the server made of each part, before the user sorted or filtered it. @type {WeakMap<Element, string>} */
const made = new WeakMap();

/** Parts of a table that take the server a moment, by their address. @type {Map<string, {seen: string, held: string}>} */
const loaded = new Map();

/** Fill the cells of a part, one after the other; each again when what it rests on has changed. @param {ParentNode} part */
async function load(part) {
  const places = Array.from(part.querySelectorAll("[data-load]")).map((place) => /** @type {HTMLElement} */ (place));
  for (const place of places) place.innerHTML = loaded.get(place.dataset.load ?? "")?.held ?? "";
  for (const place of places) {
    const { load: address = "", seen = "" } = place.dataset;
    if (loaded.get(address)?.seen === seen) continue;
    const response = await fetch(address);
    if (!response.ok) continue;
    loaded.set(address, { seen, held: await response.text() });
    place.innerHTML = loaded.get(address)?.held ?? "";
  }
}

/** @param {Element} part */
function prepare(part) {
  made.set(part, part.innerHTML);
  load(part);
  drawSoon(part.querySelectorAll("[data-figure]"));
}

/** Send what a button asks for, and say so where it is refused; a job that was made is shown. @param {HTMLButtonElement} button */
async function post(button) {
  button.disabled = true;
  const body = button.dataset.body;
  const headers = body ? { "Content-Type": "application/json" } : undefined;
  try {
    const response = await fetch(button.dataset.post ?? "", { method: "POST", body, headers });
    if (!response.ok) say(button, (await response.json()).detail);
    const made = response.headers.get("Location");
    if (response.ok && made) location.assign(made.replace("/v1", ""));
    else await update();
  } catch {
    say(button, "Stride does not answer; nothing was changed.");
  } finally {
    button.disabled = false;
  }
}

/** @param {Element} after @param {string} text */
function say(after, text) {
  const said = document.createElement("p");
  said.className = "failed-request";
  said.setAttribute("role", "alert");
  said.textContent = text;
  after.parentElement?.after(said);
}

document.querySelectorAll("[data-part]").forEach(prepare);

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("button") : null;
  const table = button?.closest("table.sorts");
  if (button?.dataset.post) post(button);
  else if (button && table) {
    const cell = /** @type {HTMLTableCellElement} */ (button.closest("th"));
    const ascending = cell.getAttribute("aria-sort") !== "ascending";
    sorted.set(table.id, { column: cell.cellIndex, ascending });
    sort(/** @type {HTMLTableElement} */ (table), cell.cellIndex, ascending);
  }
});

document.addEventListener("input", (event) => {
  const input = event.target;
  if (!(input instanceof HTMLInputElement) || !input.dataset.filter) return;
  filtered.set(input.dataset.filter, input.value);
  const table = document.getElementById(input.dataset.filter);
  if (table) filter(/** @type {HTMLTableElement} */ (table), input.value);
});

/** Updates, one after the other: an older page must not replace a newer one. */
let updates = Promise.resolve();
let isNextDue = false;

/** What tells that something has changed. @type {EventSource | null} */
let changes = null;

/** Follow what the page shows while somebody looks: browsers open six connections to a server, for all tabs together. */
function follow() {
  changes?.close();
  changes = null;
  const address = document.body.dataset.changes;
  if (!address || document.hidden) return;
  changes = new EventSource(address);
  changes.addEventListener("changed", () => {
    if (isNextDue) return; // what has changed meanwhile comes with it
    isNextDue = true;
    updates = updates.then(() => ((isNextDue = false), update())).catch(lostConnection);
  });
  changes.addEventListener("error", lostConnection);
}

follow();
document.addEventListener("visibilitychange", follow);
window.addEventListener("pagehide", () => changes?.close());
window.addEventListener("pageshow", (event) => event.persisted && follow()); // gone back to

/** Say that nothing comes, until it does again; a stream that has only ended is asked for again at once. */
function lostConnection() {
  fetch("/healthz").then(
    () => {},
    () => {
      /** @type {HTMLElement} */ (document.getElementById("lost")).hidden = false;
    },
  );
}
