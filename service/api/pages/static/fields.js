// @ts-check
// The fields of the form for a new job: each shows one place of the job, and changes it.

/** @typedef {{ read: (text: string) => unknown, write: (value: unknown) => string }} Kind */

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

const form = /** @type {HTMLFormElement} */ (document.getElementById("job"));
const objective = /** @type {HTMLSelectElement} */ (document.getElementById("objective"));

/** @param {string} selector @returns {HTMLInputElement[]} Elements of the form; those without a value are no inputs. */
export const all = (selector) => Array.from(form.querySelectorAll(selector)).map((each) => /** @type {HTMLInputElement} */ (each));

/** @param {unknown} value @returns {value is Record<string, any>} */
export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

// ---- The job, and its places ----

/** The job. @type {Record<string, any>} */
export let job = {};

/** @param {Record<string, any>} next */
export function setJob(next) {
  job = next;
}

/** @param {string} pointer */
const parts = (pointer) => pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));

/** What is searched where the job says nothing of it. */
function defaultSpace() {
  /** @type {Record<string, any>} */
  const space = {};
  for (const { dataset } of all("[data-parameter]")) {
    const range = JSON.parse(dataset.space ?? "null");
    if (range !== null) space[dataset.parameter ?? ""] = range;
  }
  return space;
}

/** What the job says there; undefined: nothing. @param {string} pointer @param {any} [at] */
export function valueAt(pointer, at = job) {
  for (const part of parts(pointer)) at = isObject(at) && Object.hasOwn(at, part) ? at[part] : undefined;
  return at;
}

/** Change a place of the job; undefined leaves it out, and what then is empty. @param {string} pointer @param {unknown} value */
export function change(pointer, value) {
  const path = parts(pointer);
  const last = path.pop() ?? "";
  if (path[0] === "search_space") job.search_space ??= defaultSpace(); // else the other parameters would lose their ranges
  /** @type {any} */
  let at = job;
  const above = path.map((part) => {
    const holder = at;
    if (!isObject(holder[part])) holder[part] = {};
    at = holder[part];
    return { holder, part };
  });
  if (value === undefined) delete at[last];
  else at[last] = value;
  for (const { holder, part } of above.reverse()) {
    if (part !== "search_space" && Object.keys(holder[part]).length === 0) delete holder[part];
  }
}

// ---- Texts and values ----

/** Whether whole numbers keep all their digits. */
export const isExact = typeof /** @type {any} */ (JSON).rawJSON === "function";

/** JSON as values. Raises SyntaxError. @param {string} text */
export function parse(text) {
  /** @param {string} _ @param {unknown} value @param {{ source: string }} context */
  const exact = (_, value, context) => (Number.isInteger(value) && !Number.isSafeInteger(value) ? raw(context.source) : value);
  return JSON.parse(text, /** @type {any} */ (isExact ? exact : undefined));
}

/** @param {string} digits */
const raw = (digits) => /** @type {any} */ (JSON).rawJSON(digits);

/** The job as text, with lists of values on one line. @param {unknown} job */
export function print(job) {
  return JSON.stringify(job, null, 2).replace(/\[\n([^[\]{}]*)\n *\]/g, (_, values) => `[${values.trim().replace(/\n */g, " ")}]`);
}

/** As people write it: 1e-5, and not 0.00001. @param {unknown} value @returns {string} */
export function shown(value) {
  if (typeof value === "number") return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : String(value);
  return value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);
}

/** A number as one; any other text as it is, so that the server says what is wrong with it. @param {string} text */
function scalar(text) {
  const number = Number(text);
  if (!NUMBER.test(text) || !Number.isFinite(number)) return text;
  if (Number.isSafeInteger(number) || !/^-?[1-9]\d*$/.test(text)) return number;
  return isExact ? raw(text) : text;
}

/** @param {string} text */
function parsed(text) {
  try {
    return parse(text);
  } catch {
    return text;
  }
}

/** How the text of a field is read and written. @type {Record<string, Kind>} */
export const KINDS = {
  text: { read: (text) => text || undefined, write: shown },
  number: { read: (text) => (text.trim() ? scalar(text.trim()) : undefined), write: shown },
  json: { read: (text) => (text.trim() ? parsed(text) : undefined), write: shown },
  list: {
    read(text) {
      if (text.trim().startsWith("[")) return parsed(text);
      const values = text.split(",").map((each) => each.trim());
      return values.some(Boolean) ? values.filter(Boolean).map(scalar) : undefined;
    },
    write(value) {
      const text = Array.isArray(value) ? value.map(shown).join(", ") : "";
      return JSON.stringify(KINDS.list.read(text)) === JSON.stringify(value) ? text : shown(value);
    },
  },
  labels: {
    read(text) {
      const lines = text.split("\n").filter((line) => line.trim());
      const pairs = lines.map((line) => [line.split(":")[0].trim(), line.includes(":") ? line.slice(line.indexOf(":") + 1).trim() : ""]);
      return lines.length ? Object.fromEntries(pairs) : undefined;
    },
    write: (value) => (isObject(value) ? Object.entries(value).map(([name, each]) => `${name}: ${shown(each)}`).join("\n") : shown(value)),
  },
};

/** The value that a field says. @param {HTMLInputElement} field */
function read(field) {
  const { kind = "" } = field.dataset;
  if (kind === "flag") return field.checked || undefined;
  if (kind === "set") return Array.from(field.querySelectorAll("input")).filter((box) => box.checked).map((box) => JSON.parse(box.value));
  if (!(field instanceof HTMLSelectElement)) return KINDS[kind].read(field.value);
  const option = field.selectedOptions[0];
  return option === undefined || "default" in option.dataset ? undefined : parsed(option.value);
}

/** Show a value in a field. @param {HTMLInputElement} field @param {unknown} value */
function write(field, value) {
  const { kind = "" } = field.dataset;
  if (kind === "flag") field.checked = value === true;
  else if (kind === "set") {
    const chosen = Array.isArray(value) ? value : [];
    for (const box of field.querySelectorAll("input")) box.checked = chosen.includes(JSON.parse(box.value));
  } else if (field instanceof HTMLSelectElement) {
    const options = Array.from(field.options).filter((option) => !("odd" in option.dataset));
    choose(field, options.find((option) => (value === undefined ? "default" in option.dataset : parsed(option.value) === value)), value);
  } else field.value = KINDS[kind].write(value);
}

/** Choose an option; a value that is none of them, which the server refuses, is shown as one. @param {HTMLSelectElement} select
 * @param {HTMLOptionElement | undefined} option @param {unknown} value */
function choose(select, option, value) {
  select.querySelectorAll("[data-odd]").forEach((odd) => odd.remove());
  if (option === undefined) {
    option = new Option(shown(value), JSON.stringify(value) ?? "");
    option.dataset.odd = "";
    select.append(option);
  }
  option.selected = true;
}

// ---- The form shows the job ----

/** Show the job in all fields but the one that is being changed. @param {Element | null} changed */
export function show(changed) {
  const strategy = isObject(job.strategy) ? job.strategy.type : job.strategy;
  const whole = { ...job, search_space: job.search_space ?? defaultSpace() };
  for (const row of all("[data-parameter]")) {
    const dimension = valueAt(row.querySelector("[data-mode]")?.getAttribute("data-pointer") ?? "", whole);
    const mode = dimension === undefined ? "default" : !isObject(dimension) ? "value" : dimension.type === "categorical" ? "choices" : "range";
    const select = /** @type {HTMLSelectElement} */ (row.querySelector("[data-mode]"));
    choose(select, Array.from(select.options).find((option) => option.value === mode), dimension);
    for (const each of row.querySelectorAll("[data-when]")) {
      const part = /** @type {HTMLElement} */ (each);
      const counts = !("grid" in part.dataset) || strategy === "grid" || part.contains(changed);
      part.hidden = part.dataset.when !== mode || !counts;
    }
  }
  for (const select of all("[data-union]")) {
    const { union = "", default: usual = "" } = select.dataset;
    const chosen = isObject(job[union]) ? job[union].type : (job[union] ?? usual);
    const list = /** @type {HTMLSelectElement} */ (/** @type {unknown} */ (select));
    choose(list, Array.from(list.options).find((option) => option.value === chosen), chosen);
    for (const variant of all(`[data-variant^="${union} "]`)) variant.hidden = variant.dataset.variant !== `${union} ${chosen}`;
  }
  /** @type {HTMLElement} */ (document.getElementById("default-space")).hidden = job.search_space === undefined;
  choose(objective, Array.from(objective.options).find((option) => option.value === job.objective?.name), job.objective?.name);
  for (const field of all("[data-kind]")) {
    if (field !== changed && !field.contains(changed)) write(field, valueAt(field.dataset.pointer ?? "", whole));
  }
}

/** What the job says of a parameter that is now chosen in another way. @param {HTMLElement} row @param {string} mode */
function beginning(row, mode) {
  const space = JSON.parse(row.dataset.space ?? "null");
  if (mode === "value") return JSON.parse(row.dataset.default ?? "null");
  if (mode === "choices") return space?.type === "categorical" ? space : { type: "categorical", choices: [] };
  if (mode === "range") return space && space.type !== "categorical" ? space : { type: row.dataset.type };
  return undefined;
}

/** Strategy and pruner: by their name alone where they have no settings. @param {string} union @param {string} usual */
function shorten(union, usual) {
  const chosen = job[union];
  if (isObject(chosen) && Object.keys(chosen).join() === "type") job[union] = chosen.type;
  if (job[union] === usual) delete job[union];
}

/** What belongs to an objective, kept for when it is chosen again. @type {Map<string, Record<string, any>>} */
const kept = new Map();

/** @param {string} name */
function chooseObjective(name) {
  const { objective: before, search_space, metric, try_first, ...rest } = job;
  kept.set(before?.name, { objective: before, search_space, metric, try_first });
  job = { ...(kept.get(name) ?? { objective: { name } }), ...rest };
}

/** Take over what the user has changed. @param {HTMLInputElement} field */
export function take(field) {
  const { pointer = "", union, default: usual = "" } = field.dataset;
  const variant = field.closest("[data-variant]")?.getAttribute("data-variant")?.split(" ");
  const row = /** @type {HTMLElement | null} */ (field.closest("[data-parameter]"));
  if (field === /** @type {unknown} */ (objective)) chooseObjective(field.value);
  else if (union !== undefined) {
    job[union] = field.value;
    shorten(union, usual);
  } else if ("mode" in field.dataset && row) change(pointer, beginning(row, field.value));
  else if (variant) {
    if (!isObject(job[variant[0]])) job[variant[0]] = { type: variant[1] };
    change(pointer, read(field));
    shorten(variant[0], form.querySelector(`[data-union="${variant[0]}"]`)?.getAttribute("data-default") ?? "");
  } else {
    const whole = /** @type {HTMLInputElement} */ (field.closest("[data-kind]")); // of boxes: their group
    const { pointer: place = "" } = whole.dataset;
    // One value that is deleted is none yet: the default is another choice.
    const isValue = row?.querySelector("[data-mode]")?.getAttribute("data-pointer") === place;
    change(place, read(whole) ?? (isValue ? "" : undefined));
  }
}
