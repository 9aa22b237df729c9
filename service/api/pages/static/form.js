// @ts-check
// The form for a new job: checks it while one types, keeps a draft, and submits it. What the JSON says is what is sent.

import { all, isExact, isObject, job, parse, print, setJob, show, take, valueAt } from "./fields.js";
import { accept, byId, refuse, tell } from "./replies.js";

const DELAY_MS = 300;
const AGAIN_MS = 2000;
const DRY_RUN = "/v1/jobs?dry_run=true";

const form = /** @type {HTMLFormElement} */ (byId("job"));
const json = /** @type {HTMLTextAreaElement} */ (byId("json"));
const objective = /** @type {HTMLSelectElement} */ (byId("objective"));
const send = /** @type {HTMLButtonElement} */ (form.querySelector("button[type=submit]"));

/** The draft of this form: in this tab, until it is submitted. */
const DRAFT = `new job ${location.search}`;

/** What tells the server that a request is sent again: the same as long as the job is. */
let key = newKey();

function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// ---- Check ----

/** Of which text the reply is awaited. */
let newest = 0;
let timer = 0;

/** Check the job once nothing has been typed for a moment. @param {number} [delay_ms] */
function checkSoon(delay_ms = DELAY_MS) {
  newest += 1;
  clearTimeout(timer);
  timer = setTimeout(check, delay_ms);
}

async function check() {
  const mine = newest;
  try {
    await declare(String(job.objective?.name));
    const response = await fetch(DRY_RUN, { method: "POST", headers: { "Content-Type": "application/json" }, body: json.value });
    const reply = await response.json();
    if (mine !== newest) return;
    byId("lost").hidden = true;
    if (response.ok) accept(reply);
    else refuse(reply);
    if (response.status === 503) checkSoon(AGAIN_MS);
  } catch {
    if (mine !== newest) return;
    byId("lost").hidden = false;
    tell("Stride does not answer. What you typed is kept.");
    checkSoon(AGAIN_MS);
  }
}

/** Show the settings, parameters and metrics of an objective. @param {string} name */
async function declare(name) {
  if (objective.dataset.fieldsOf === name || !Array.from(objective.options).some((each) => each.value === name && !("odd" in each.dataset))) return;
  const response = await fetch(`/new?objective=${encodeURIComponent(name)}`);
  if (!response.ok || job.objective?.name !== name) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of all("[data-declared]")) {
    const fresh = page.querySelector(`[data-declared="${part.dataset.declared}"]`);
    part.replaceChildren(...Array.from(document.importNode(/** @type {Element} */ (fresh), true).childNodes));
  }
  objective.dataset.fieldsOf = name;
  show(null);
}

// ---- Submit ----

let isSending = false;

/** Two clicks, and a click after a reply that was lost, submit one job: the key is the same. */
async function submit() {
  if (isSending) return;
  isSending = send.disabled = true;
  newest += 1; // a check that is under way would clear what the server says now
  clearTimeout(timer);
  try {
    const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
    const response = await fetch("/v1/jobs", { method: "POST", headers, body: json.value });
    const reply = await response.json();
    if (response.ok) {
      sessionStorage.removeItem(DRAFT);
      location.assign(`/jobs/${reply.id}`);
      return; // the button stays as it is until the page is left
    }
    refuse(reply);
    (all("[aria-invalid]")[0] ?? byId("faults")).focus();
  } catch {
    tell("Stride does not answer. Submit again when it does: it will be one job, also if this request has arrived.");
  }
  isSending = send.disabled = false;
}

// ---- The JSON, the draft, and what is copied ----

/** The JSON has changed, by itself or with a field. */
function changed() {
  key = newKey();
  keep();
  commands();
  checkSoon();
}

function keep() {
  sessionStorage.setItem(DRAFT, JSON.stringify({ text: json.value, key }));
}

/** Read the JSON into the fields, where it is that of a job; where it is not, the server says what is wrong with it. */
function readJson() {
  try {
    const found = parse(json.value);
    if (!isObject(found)) return;
    setJob(found);
    show(json);
  } catch {
    // The fields stay as they are; the check says where the JSON ends to be JSON.
  }
}

function commands() {
  const quoted = `'${json.value.replaceAll("'", "'\\''")}'`;
  byId("as-stride").textContent = `echo ${quoted} |\n  stride submit - --url ${location.origin}`;
  byId("as-curl").textContent = `curl -s ${location.origin}/v1/jobs -H 'content-type: application/json' -d ${quoted}`;
}

/** @param {HTMLButtonElement} button */
async function copy(button) {
  const source = byId(button.dataset.copy ?? "");
  const text = source instanceof HTMLTextAreaElement ? source.value : (source.textContent ?? "");
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else {
    // A page that is not served by https or from this machine has no clipboard.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  tell("Copied.");
}

form.addEventListener("input", (event) => {
  const field = /** @type {HTMLInputElement} */ (event.target);
  if (field === /** @type {unknown} */ (json)) readJson();
  else {
    take(field);
    json.value = print(job);
    show(field);
  }
  changed();
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});

form.addEventListener("reset", (event) => {
  event.preventDefault();
  sessionStorage.removeItem(DRAFT);
  location.reload();
});

form.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("button") : null;
  if (button?.dataset.copy) copy(button);
  if (button?.id === "first-fault") all("[aria-invalid]")[0]?.focus();
  if (button?.id !== "default-space") return;
  delete job.search_space;
  json.value = print(job);
  show(null);
  changed();
});

window.addEventListener("pageshow", (event) => {
  if (event.persisted) isSending = send.disabled = false; // gone back to, from the job
});

const draft = sessionStorage.getItem(DRAFT);
if (draft !== null) ({ text: json.value, key } = JSON.parse(draft));
readJson();
if (draft === null && isExact) json.value = print(job);
show(null);
commands();
for (const field of all("[data-kind]")) {
  // What is filled in must be seen.
  const details = field.closest("details");
  if (details && !field.closest("[hidden]") && field.dataset.pointer) details.open ||= valueAt(field.dataset.pointer) !== undefined;
}
checkSoon(0);
