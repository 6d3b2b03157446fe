/**
 * The state of the page is in the hash, so that a view can be shared; the token is not. The hash has
 * absolute days. That they are the last so many, and follow the calendar on a reload, is remembered
 * in the tab's history only; a link with `window` in place of `from` and `to` asks for the last days.
 */

import { addDays, toDate } from "./format.js";
import { parse } from "./dimension.js";

export const VIEWS = ["overview", "experiments", "funnel", "retention", "ingestion"];
export const WINDOWS = [7, 14, 30, 90];
export const MOST_DAYS = 90;
const TEXTS = ["experiment", "funnel", "mode", "day", "period", "dimension"];
const CHOICES = { mode: ["in-order", "same-day"], period: ["day", "week"] };
const OF_ONE_VIEW = { day: "funnel", mode: "funnel", period: "retention" };
const DEFAULT = { view: "overview", window: 14, days: 14, from: "", to: "", ...Object.fromEntries(TEXTS.map((key) => [key, ""])) };

const isDay = (text) => /^[1-9]\d{3}-\d\d-\d\d$/.test(text) && Number.isFinite(toDate(text).getTime()) && addDays(text, 0) === text;

/** How many days a range has, both ends included; NaN when it is none, or longer than the API allows. */
export function length(from, to) {
  const days = isDay(from) && isDay(to) ? (toDate(to) - toDate(from)) / 86400000 + 1 : NaN;
  return days >= 1 && days <= MOST_DAYS ? days : NaN;
}

/**
 * @param {string} hash as in "#/funnel?from=2026-11-01&to=2026-11-14&experiment=exp_1"
 * @returns {Object} the state, with `unknown`: what the hash asks for and the page does not have
 */
export function read(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const given = new URLSearchParams(query);
  const state = { ...DEFAULT, unknown: [] };
  if (VIEWS.includes(path)) state.view = path;
  else if (path) state.unknown.push(["view", path]);
  for (const [key, value] of given) {
    if (key === "from" || key === "to") continue;
    if (OF_ONE_VIEW[key] && OF_ONE_VIEW[key] !== state.view) state.unknown.push([key, value]);
    else if (CHOICES[key] && !CHOICES[key].includes(value)) state.unknown.push([key, value]);
    else if (key === "dimension" && parse(value).experiment !== undefined) state.unknown.push([key, value]);
    else if (TEXTS.includes(key)) state[key] = value;
    else if (key === "window" && WINDOWS.map(String).includes(value)) state.window = state.days = Number(value);
    else state.unknown.push([key, value]);
  }
  // A day is of the same-day view, which was the only one when such links were made.
  if (state.day && !state.mode) state.mode = "same-day";
  if (given.has("from") || given.has("to")) readRange(state, given);
  for (const key of new Set(given.keys())) {
    if (given.getAll(key).length > 1) state.unknown.push(["twice", key]);
  }
  return state;
}

function readRange(state, given) {
  const [from, to] = ["from", "to"].map((key) => given.getAll(key).pop() ?? "");
  const days = length(from, to);
  if (given.has("window") || !days) state.unknown.push([days ? "both" : "range", `${from || "nothing"} to ${to || "nothing"}`]);
  if (days) Object.assign(state, { from, to, days, window: 0 });
}

export function write(state) {
  const query = new URLSearchParams(state.from ? { from: state.from, to: state.to } : { window: state.window });
  for (const key of TEXTS) if (state[key]) query.set(key, state[key]);
  return `#/${state.view}?${query}`;
}

export function current() {
  const state = read(location.hash);
  const window = history.state?.window;
  return state.from && WINDOWS.includes(window) ? { ...state, from: "", to: "", window, days: window } : state;
}

/** Writes the days that a view shows into the address. */
export function pin(state, from, to) {
  if (state.window && !state.unknown.length) history.replaceState({ window: state.window }, "", write({ ...state, from, to }));
}

/** What the API is asked for. */
export const range = ({ from, to, window }) => (from ? { from, to } : { window_days: window });

/** The hash of the current state with changes; what belongs to one view only is left behind. */
export function hashWith(changes) {
  const before = current();
  const state = { ...before, ...(changes.window && { from: "", to: "" }), ...changes };
  if (changes.view && changes.view !== before.view) for (const key of Object.keys(OF_ONE_VIEW)) state[key] = "";
  return write(state);
}

export function go(changes) {
  location.hash = hashWith(changes);
}
