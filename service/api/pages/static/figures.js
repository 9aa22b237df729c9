// @ts-check
// Draws the figures of a page, in its colours; on paper light and small.
"use strict";

/** Plotly's script, which the page loads before this one. */
const plotly = /** @type {any} */ (window).Plotly;

/** Whether figures are drawn for paper: light, and as small as two columns of it take. */
let isPrinting = false;

/** The size of a figure on paper, in pixels: within A4 and Letter with margins of 12 mm. @param {HTMLElement} place @param {number} [height] its own */
function printed(place, height) {
  const isHalf = place.closest("main > .figure:not([data-part=response], [data-part=curves])");
  return { autosize: false, width: isHalf ? 340 : 695, height: height ? height / 2 : isHalf ? 140 : 200 };
}

/** @param {string} name A colour of the style sheet. */
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Draw a figure, or draw it again where its data have changed. @param {HTMLElement} place */
function draw(place) {
  const { data, layout } = JSON.parse(place.dataset.figure || "{}");
  const axis = { gridcolor: color("--grid"), zerolinecolor: color("--grid"), linecolor: color("--line") };
  const axes = Object.entries(layout).filter(([name]) => /^[xy]axis\d*$/.test(name));
  const themed = {
    ...layout,
    ...(isPrinting ? printed(place, layout.height) : { autosize: true }),
    font: { color: color("--text"), family: "system-ui, sans-serif", size: isPrinting ? 8 : 12 },
    ...Object.fromEntries(axes.map(([name, each]) => [name, { ...axis, ...each }])),
    uirevision: "kept", // zoom and hidden traces stay when the data change
  };
  plotly.react(place, data, themed, { responsive: true, displaylogo: false });
}

/** Figures that are still to be drawn, in the order of the page. @type {HTMLElement[]} */
const undrawn = [];

/** Draw one after the other, so that the page can be used between them. */
function drawNext() {
  const place = undrawn.shift();
  if (!place) return;
  draw(place);
  setTimeout(drawNext);
}

/** @param {HTMLElement[]} places */
function drawSoon(places) {
  const isDrawing = undrawn.length > 0;
  undrawn.push(...places);
  if (!isDrawing) setTimeout(drawNext);
}

/** Draw all of them now, in other colours or another size. */
function drawAll() {
  undrawn.length = 0;
  document.querySelectorAll("[data-figure]").forEach((place) => draw(/** @type {HTMLElement} */ (place)));
}

/** @param {boolean} begins */
function drawForPaper(begins) {
  isPrinting = begins;
  document.documentElement.classList.toggle("printing", begins);
  drawAll();
}

window.addEventListener("beforeprint", () => drawForPaper(true));
window.addEventListener("afterprint", () => drawForPaper(false));
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
