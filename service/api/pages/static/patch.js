// @ts-check
// Makes a part of the page like a newer one and touches only what differs: scrolling, the focus, what is typed, what is open, and
// a press on a button stay as they are.
"use strict";

/** Attributes that are the user's, or the page's own scripts'. */
const KEPT = new Set(["open", "hidden", "aria-sort", "disabled", "style"]);

/** What tells an element from others beside it. @param {Node} node */
const keyOf = (node) => (node instanceof HTMLElement ? node.dataset.part || node.dataset.key || "" : "");

/** Whether a script fills it, here: the page as sent has nothing in it. @param {Element} element */
const isFilledHere = (element) => element.hasAttribute("data-figure") || element.hasAttribute("data-load");

/** @param {Element} old @param {Element} fresh */
function patch(old, fresh) {
  for (const { name, value } of Array.from(fresh.attributes)) {
    const isOwn = KEPT.has(name) || (name === "class" && isFilledHere(fresh));
    if (!isOwn && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (isFilledHere(fresh)) return;
  for (const { name } of Array.from(old.attributes)) if (!KEPT.has(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
  if (old.matches("table.sorts > tbody")) patchRows(old, fresh);
  else patchChildren(old, fresh);
}

/** @param {Element} old @param {Element} fresh */
function patchChildren(old, fresh) {
  const wanted = new Set(Array.from(fresh.children, keyOf));
  for (const child of Array.from(old.children)) if (keyOf(child) && !wanted.has(keyOf(child))) child.remove();
  const keyed = new Map(Array.from(old.children, (child) => [keyOf(child), child]));
  let at = old.firstChild;
  for (const child of Array.from(fresh.childNodes)) {
    const key = keyOf(child);
    if (key && keyed.has(key)) {
      const match = /** @type {Element} */ (keyed.get(key));
      while (at && at !== match && !keyOf(at)) at = dropped(at);
      if (at === match) at = at.nextSibling;
      else old.insertBefore(match, at);
      patch(match, /** @type {Element} */ (child));
    } else if (!key && at && !keyOf(at) && at.nodeName === child.nodeName) {
      if (at instanceof Element) patch(at, /** @type {Element} */ (child));
      else if (at.nodeValue !== child.nodeValue) at.nodeValue = child.nodeValue;
      at = at.nextSibling;
    } else {
      old.insertBefore(document.importNode(child, true), at);
    }
  }
  while (at) at = dropped(at);
}

/** The rows stay in the order that the user has chosen. @param {Element} old @param {Element} fresh */
function patchRows(old, fresh) {
  const rows = new Map(Array.from(old.children, (row) => [keyOf(row), row]));
  for (const row of Array.from(fresh.children)) {
    const match = rows.get(keyOf(row));
    if (match) patch(match, row);
    else old.append(document.importNode(row, true));
    rows.delete(keyOf(row));
  }
  rows.forEach((row) => row.remove());
}

/** Remove a node. @param {ChildNode} node @returns {ChildNode | null} what stood after it */
function dropped(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}
