// @ts-check
// Tables that sort by a column and show the rows that hold some words.
"use strict";

/** By which column a user has sorted a table, by its id. @type {Map<string, {column: number, ascending: boolean}>} */
const sorted = new Map();

/** Sort the rows of a table, as the user has chosen. @param {HTMLTableElement} table */
function sort(table) {
  const by = sorted.get(table.id);
  if (!by) return;
  const { column, ascending } = by;
  const body = table.tBodies[0];
  /** @param {HTMLTableRowElement} row */
  const valueOf = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent ?? "";
  const before = Array.from(body.rows);
  const rows = before.toSorted((one, other) => {
    const [a, b] = [valueOf(one), valueOf(other)];
    if (a === "" || b === "") return a === b ? 0 : a === "" ? 1 : -1; // without a value: last, in either order
    const order = Number.isNaN(Number(a)) || Number.isNaN(Number(b)) ? a.localeCompare(b) : Number(a) - Number(b);
    return ascending ? order : -order;
  });
  if (rows.some((row, place) => row !== before[place])) body.append(...rows);
  Array.from(table.tHead?.rows[0].cells ?? []).forEach((cell, place) => {
    if (place === column) cell.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    else cell.removeAttribute("aria-sort");
  });
}

/** Show the rows that hold all words of a filter. @param {HTMLInputElement} input */
function filter(input) {
  const table = document.getElementById(input.dataset.filter ?? "");
  const words = input.value.toLowerCase().split(/\s+/);
  if (!(table instanceof HTMLTableElement)) return;
  for (const row of table.tBodies[0].rows) {
    const held = (row.textContent ?? "").toLowerCase();
    row.hidden = !words.every((word) => held.includes(word));
  }
}

/** Sort and filter again where rows have changed. */
function arrangeTables() {
  document.querySelectorAll("table.sorts").forEach((table) => sort(/** @type {HTMLTableElement} */ (table)));
  document.querySelectorAll("input[data-filter]").forEach((input) => filter(/** @type {HTMLInputElement} */ (input)));
}

document.addEventListener("click", (event) => {
  const cell = event.target instanceof Element ? event.target.closest("table.sorts thead th") : null;
  const table = cell?.closest("table");
  if (!(cell instanceof HTMLTableCellElement) || !table) return;
  sorted.set(table.id, { column: cell.cellIndex, ascending: cell.getAttribute("aria-sort") !== "ascending" });
  sort(table);
});

document.addEventListener("input", (event) => {
  if (event.target instanceof HTMLInputElement && event.target.dataset.filter) filter(event.target);
});
