// @ts-check
// What the server says of a job, shown in its form: the plan, or what is wrong beside the field that it is about.

import { KINDS, all, isObject, shown, valueAt } from "./fields.js";

/** @typedef {{ pointer: string, detail: string }} Fault */

/** @param {string} id */
export const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** Say what the job would do. @param {any} plan */
export function accept(plan) {
  clear();
  byId("plan").replaceChildren(...plan.summary.map((/** @type {string} */ said) => element("li", said)));
  const idle = all("[data-parameter]").filter((row) => !((row.dataset.parameter ?? "") in plan.spec.search_space));
  for (const row of all("[data-parameter]")) row.hidden = idle.includes(row);
  const names = idle.map((row) => row.dataset.parameter).join(", ");
  byId("idle").textContent = names && `Without effect as long as the job is as it is: ${names}.`;
  for (const field of all("input[data-kind][type=text], textarea[data-kind=json]")) {
    field.placeholder = KINDS[field.dataset.kind ?? ""].write(valueAt(field.dataset.pointer ?? "", plan.spec)); // what is taken if it stays empty
  }
  const named = Object.keys(plan.first_points[0] ?? {}).filter((name) => isObject(plan.spec.search_space[name]));
  const first = byId("first");
  first.hidden = named.length === 0;
  first.querySelector("thead")?.replaceChildren(line("th", named));
  first.querySelector("tbody")?.replaceChildren(...plan.first_points.map((/** @type {any} */ point) => line("td", named.map((name) => brief(point[name])))));
  for (const warning of plan.warnings) place(warning, "warning");
  tell(plan.warnings.length ? `It can be submitted; ${plan.warnings.length} is doubtful.` : plan.summary[0]);
}

/** Say what is wrong, beside its field or else on top. @param {any} problem */
export function refuse(problem) {
  clear();
  byId("plan").replaceChildren(element("li", "It cannot be submitted yet."));
  byId("first").hidden = true;
  /** @type {Fault[]} */
  const faults = problem.errors ?? [];
  if (problem.type === "urn:stride:malformed-body") byId("json-error").append(element("span", problem.detail));
  else if (faults.length === 0) byId("faults").append(element("p", `${problem.title}. ${problem.detail ?? ""}`));
  for (const fault of faults) place(fault, "error");
  const count = Math.max(1, faults.length);
  tell(count === 1 ? "One thing is wrong." : `${count} things are wrong.`);
  byId("first-fault").hidden = all("[aria-invalid]").length === 0;
}

function clear() {
  for (const slot of all(".fault")) slot.replaceChildren();
  for (const field of all("[aria-invalid]")) field.removeAttribute("aria-invalid");
  byId("faults").replaceChildren();
  byId("first-fault").hidden = true;
}

/** @param {Fault} fault @param {"error" | "warning"} kind */
function place(fault, kind) {
  const shown = all("[data-pointer]").filter((field) => !field.closest("[hidden]"));
  for (let pointer = fault.pointer; pointer; pointer = pointer.slice(0, pointer.lastIndexOf("/"))) {
    const there = shown.filter((each) => each.dataset.pointer === pointer);
    const field = there.find((each) => each.dataset.kind) ?? there[0]; // else how the parameter is chosen
    const slot = field && document.getElementById(`${field.id}-error`);
    if (!field || !slot) continue;
    const within = fault.pointer.slice(pointer.length + 1);
    const said = element("span", within ? `${within}: ${fault.detail}` : fault.detail);
    said.className = kind;
    slot.append(said, " ");
    if (kind === "error") field.setAttribute("aria-invalid", "true");
    for (let outer = field.closest("details"); outer; outer = outer.parentElement?.closest("details") ?? null) outer.open = true;
    return;
  }
  byId("faults").append(element("p", fault.pointer ? `${fault.pointer}: ${fault.detail}` : fault.detail));
}

/** @param {string} text */
export function tell(text) {
  const status = byId("status");
  if (status.textContent !== text) status.textContent = text;
}

/** @param {string} name @param {string} text */
function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

/** A row of a table. @param {"th" | "td"} cell @param {string[]} texts */
function line(cell, texts) {
  const row = document.createElement("tr");
  row.append(...texts.map((text) => element(cell, text)));
  if (cell === "th") for (const each of row.children) each.setAttribute("scope", "col");
  return row;
}

/** @param {unknown} value */
const brief = (value) => shown(typeof value === "number" ? Number(value.toPrecision(4)) : value);
