/** The filter by dimension: what can be chosen, and which panels of the view it applies to. */

import * as api from "../api.js";
import { isMissing, isOne, isRest, label, matches, parse } from "../dimension.js";
import { el, name } from "../dom.js";
import { addDays, cut, list, plural } from "../format.js";
import { MOST, first, groupBy, unique } from "../numbers.js";
import { go, hashWith, range } from "../state.js";
import { message } from "../states.js";

/** A list to choose from, with its label. @param {Array<[string, string, string?]>} choices value, text, group */
export function choose(id, text, choices, value, change) {
  const option = ([key, shown]) => el("option", { value: key, selected: key === value }, shown);
  const groups = groupBy(choices, ([, , group]) => group ?? "");
  return el("div", { class: "field" },
    el("label", { for: id }, text),
    el("select", { id, onchange: (event) => go(change(event.target.value)) },
      [...groups].map(([group, some]) => (group ? el("optgroup", { label: group }, some.map(option)) : some.map(option)))));
}

/**
 * The keys of the range's last days, those with the most users first. Where active users were not
 * computed, those of the daily metrics.
 */
export async function keys(state, options) {
  const last = state.from ? { from: [state.from, addDays(state.to, -2)].sort()[1], to: state.to } : { window_days: 3 };
  const active = await api.optional(api.active(last, options));
  const size = new Map();
  const add = (rows) => {
    for (const { dimension_key: key, users_count: n, value } of rows) {
      if (parse(key).dimension) size.set(key, Math.max(size.get(key) ?? 0, n ?? value));
    }
  };
  add(active.rows);
  if (!size.size) add((await api.optional(api.dimensions(range(state), options))).rows);
  return bySize(size);
}

/** Keys in the order of the filter's list, so that a value has the same colour everywhere. */
export function inOrder(some, known) {
  const place = new Map(known.map((key, i) => [key, i]));
  return bySize(new Map([...some].map((key) => [key, -(place.get(key) ?? known.length)])));
}

/** Largest first; what has no value and the rest come last. */
function bySize(size) {
  const late = (key) => isRest(key) * 2 + isMissing(key);
  return [...size.keys()].sort((a, b) => late(a) - late(b) || size.get(b) - size.get(a) || (a < b ? -1 : 1));
}

/**
 * @param {string[]} known keys
 * @param {{on?: string[], off?: string[]}} scope the view's panels that the filter applies to, and the others
 */
export function bar(known, { dimension: filter }, { on = [], off = [] }) {
  const dimensions = unique([...known, ...(filter ? [filter] : [])].map((key) => parse(key).dimension ?? key)).sort();
  const keys = filter && isOne(filter) && !known.includes(filter) ? [...known, filter] : known;
  const shown = first(keys, MOST.choices, filter);
  const choices = [["", "All users"], ...dimensions.flatMap((dimension) => {
    const group = cut(dimension, 40);
    return [[dimension, `By ${group}`, group], ...shown.filter((key) => parse(key).dimension === dimension)
      .map((key) => [key, `${group}: ${cut(label(key), 40)}`, group])];
  })];
  if (!filter && !known.length) return null;
  const named = (wanted) => shown.some((key) => wanted(key) && (!filter || matches(filter, key)));
  return el("div", { class: "controls filter" },
    choose("filter", "Filter", choices, filter, (dimension) => ({ dimension })),
    filter && el("p", { class: "note" }, el("b", {}, name(filtered(filter), 60)), on.length ? ` applies to ${list(on)}. ` : " does not apply here. ",
      off.length > 0 && `${on.length ? "Not to" : "These are about all users:"} ${list(off)}. `,
      on.length > 0 && named(isMissing) && "“(none)”: without a value. ",
      on.length > 0 && named(isRest) && "“(other)”: beyond the 20 values with most users. ",
      keys.length > shown.length && `${plural(keys.length - shown.length, "more value")} can be written into the address, as in “dimension=platform=ios”. `,
      el("a", { href: hashWith({ dimension: "" }) }, "Show all users")));
}

export const filtered = (filter) => (isOne(filter) ? `${parse(filter).dimension}: ${label(filter)}` : `By ${filter}`);

/** Nothing in the range has the filter's value. @param {Node} run the command that computes the range */
export const noMatch = (filter, run) => message("No such users", [
  "No stored number of these days is about ", name(filtered(filter), 60), ". If no run has computed them, run ", run, "."],
  el("button", { type: "button", onclick: () => go({ dimension: "" }) }, "Show all users"));
