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
  if (!plotly) {
    place.textContent = "This figure cannot be drawn: Plotly's script did not load. Load the page again.";
    return;
  }
  const { data, layout } = JSON.parse(place.dataset.figure || "{}");
  const axis = { gridcolor: color("--grid"), zerolinecolor: color("--grid"), linecolor: color("--line") };
  const axes = Object.entries(layout).filter(([name]) => /^[xy]axis\d*$/.test(name));
  const scale = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16; // of text, which is larger on 4K
  const own = layout.height ? { height: layout.height * scale } : {};
  const themed = {
    ...layout,
    ...(isPrinting ? printed(place, layout.height) : { autosize: true, ...own }),
    font: { color: color("--text"), family: "system-ui, sans-serif", size: isPrinting ? 8 : 12 * scale },
    ...Object.fromEntries(axes.map(([name, each]) => [name, { ...axis, ...each }])),
    uirevision: "kept", // zoom and hidden traces stay when the data change
  };
  plotly.react(place, data, themed, { displaylogo: false });
}

/** Figures that are still to be drawn, in the order of the page. @type {HTMLElement[]} */
const undrawn = [];

/** Draw one after the other, so that the page can be used between them. */
function drawNext() {
  const place = undrawn.shift();
  if (!place) return;
  setTimeout(drawNext); // also where this one fails
  draw(place);
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

/** The width that they are drawn for, and what waits until the window rests. */
let drawnWidth = window.innerWidth;
let resizing = 0;

window.addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(() => {
    if (drawnWidth === window.innerWidth) return; // a phone hides and shows its address bar
    drawnWidth = window.innerWidth;
    const places = document.querySelectorAll("[data-figure]");
    drawSoon(places);
    drawSoon(places); // Plotly leaves room for a legend as high as it was before
  }, 150);
});
window.addEventListener("beforeprint", () => drawForPaper(true));
window.addEventListener("afterprint", () => drawForPaper(false));
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
