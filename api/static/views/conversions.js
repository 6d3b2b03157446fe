/** A funnel in order: the users who entered in the range, and how far they came within the conversion window. */

import * as api from "../api.js";
import { color } from "../chart.js";
import { hours } from "../definitions.js";
import { isRest, label, matches, parse } from "../dimension.js";
import { el } from "../dom.js";
import { dayLines } from "../figure.js";
import { cut, day as writeDay, dayIn, days as writeDays, matures, percent, plural, seconds, tick, words } from "../format.js";
import { groupBy, median, ratio, reason, sum, unique } from "../numbers.js";
import { range } from "../state.js";
import { message } from "../states.js";
import { inOrder } from "./filter.js";
import { sorted } from "./sameday.js";
import { lastStep, missingSteps, stepsCard } from "./steps.js";

/** Variants have no filter of their own in the API, and are not split by dimension. */
export const load = (state, options) =>
  api.conversions({ ...range(state), ...(state.experiment ? {} : { dimension: state.dimension || "overall" }) }, options);

export function draw(data, state, { funnel, test, steps: seed }) {
  const { rows } = data;
  const steps = unique([...seed].sort((a, b) => a.step - b.step).map((one) => one.step_name).concat(rows.map((row) => row.step_name)));
  const window = seed[0]?.conversion_window_hours ?? 168;
  const find = finder(rows);
  const days = unique(rows.map((row) => row.day)).sort();
  const open = new Set(rows.filter((row) => row.is_final === false).map((row) => row.day));
  const finished = days.filter((day) => !open.has(day));
  const counted = finished.length ? finished : days;
  const reasons = days.map((day) => (open.has(day) ? reason(day, window / 24, data.data_as_of, data.generated_at) : null));
  const groups = groupsOf(data, state, test, (key) => find.total(days, steps[0], key));
  const named = test ? ["variant"] : ["value", "those with most users"];
  const missing = missingSteps(seed, data.events, rows);
  const gap = steps.find((step) => missing.has(step));
  for (const step of gap ? steps.slice(steps.indexOf(gap) + 1) : []) {
    if (!missing.has(step)) missing.set(step, `In order, nobody comes here without “${cut(words(gap), 60)}”.`);
  }
  const several = groups.length > 1;
  const reached = steps.filter((step, i) => i > 0 && !missing.has(step));
  const last = reached[reached.length - 1];
  const lines = (value) => (several ? groups.map((group) => ({ ...group, value: value(last, group) }))
    : reached.map((step) => ({ label: words(step), color: color(steps.indexOf(step) - 1), value: value(step, groups[0]) })));
  const share = (step, { key }) => (day) => ratio(find(day, step, key).users_count, find(day, steps[0], key).users_count);
  const time = (step, { key }) => (day) => find(day, step, key).median_seconds ?? null;
  const about = lastStep(several, last ?? "", steps, ...named);
  const entered = `Users by the day on which they took “${cut(words(steps[0]), 60)}”`;
  return { cards: [
    stepsCard({
      title: `${words(funnel)}, in order within ${hours(window)}`, file: `${funnel}_in_order_${counted[0]}_${counted[counted.length - 1]}`,
      steps, groups, missing, one: named[0], which: named[1],
      why: finished.length ? null : "no entry day is finished yet, so this is what there is so far",
      find: (step, { key }) => ({ users_count: find.total(counted, step, key), seconds: median(find.times(counted, step, key)) }),
      extra: [{ label: "median_seconds", title: "Median time", number: true, write: seconds, of: ({ seconds: n }) => (Number.isFinite(n) ? n : null) }],
      beside: ({ seconds: n }, i) => i > 0 && Number.isFinite(n) && el("small", {}, ` after ${seconds(n)}`),
      note: covered(days, counted, finished, window),
    }),
    steps.length < 2 ? message("One step only", "A funnel converts from its second step on.") : reached.length > 0 && [
      dayLines({ ...about, file: `${funnel}_in_order`, days, reasons, lines: lines(share), write: percent, tick,
        note: `${entered}: the share who came this far in order, within ${hours(window)}.` }),
      dayLines({ ...about, title: several ? `Time to “${cut(words(last), 60)}”, day by day` : "Time from the first step, day by day",
        file: `${funnel}_time`, days, reasons, lines: lines(time), write: seconds, duration: true,
        note: `${entered}: the median time of those who came this far.` }),
    ],
  ] };
}

/** Which days the numbers are of, and which are left out. */
function covered(days, counted, finished, window) {
  const left = days.filter((day) => !finished.includes(day));
  const [first, last] = [counted[0], counted[counted.length - 1]];
  return [
    `${plural(counted.length, "entry day")}, ${writeDays(first, last)}. A user counts once on each day of entry. The time is that of the median day. `,
    left.length > 0 && el("span", { class: "pending" }, finished.length
      ? `Unfinished, and not in these numbers: ${plural(left.length, "day")}, ${writeDays(left[0], left[left.length - 1])}, whose users still have time. `
      : `Users have ${hours(window)}: the first day is finished on ${writeDay(dayIn(matures(days[0], window / 24)))}. `),
  ];
}

function groupsOf(data, state, test, size) {
  const keys = unique(data.rows.map((row) => row.dimension_key));
  if (test) {
    const of = new Map(keys.filter((key) => parse(key).experiment === test).map((key) => [parse(key).variant, key]));
    return sorted([...of.keys()], data.catalog.get(test)?.variants ?? [], (id) => size(of.get(id)))
      .map((variant) => ({ ...variant, variant: variant.variant_id, key: of.get(variant.variant_id) }));
  }
  const chosen = keys.filter((key) => matches(state.experiment ? "" : state.dimension, key));
  return inOrder(chosen, data.keys).map((key, i) => ({
    key, label: key === "overall" ? "All users" : label(key), color: color(isRest(key) ? "rest" : i) }));
}

/** A key has no row at a step that none of its users reached. */
function finder(rows) {
  const all = new Map([...groupBy(rows, (row) => row.dimension_key)].map(([key, some]) =>
    [key, new Map(some.map((row) => [`${row.day} ${row.step_name}`, row]))]));
  const find = (day, step, key) => all.get(key)?.get(`${day} ${step}`) ?? { users_count: 0 };
  find.total = (days, step, key) => sum(days.map((day) => find(day, step, key).users_count));
  find.times = (days, step, key) => days.map((day) => find(day, step, key).median_seconds).filter((n) => n !== null && n !== undefined);
  return find;
}
