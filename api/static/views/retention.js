/** Retention: how many users of a cohort come back, day by day or week by week. */

import * as api from "../api.js";
import { color } from "../chart.js";
import { isRest, label, matches } from "../dimension.js";
import { el } from "../dom.js";
import { dayLines } from "../figure.js";
import { addDays, day as writeDay, dayIn, percent, tick } from "../format.js";
import { groupBy, unique } from "../numbers.js";
import { go, range } from "../state.js";
import { code, noRunYet, notComputed } from "../states.js";
import * as filter from "./filter.js";
import { triangleCard } from "./triangle.js";

const PERIODS = {
  day: { title: "Day", days: 1, most: 30, marks: [1, 7, 30] },
  week: { title: "Week", days: 7, most: 12, marks: [1, 4, 8] },
};
const COMMAND = "python cli.py --job retention --window-days 90";

export async function load(state, options) {
  const [data, keys] = await Promise.all([
    api.retention({ ...range(state), dimension: state.dimension || "overall" }, options), filter.keys(state, options)]);
  return { ...data, keys };
}

export function draw(data, state, { runs }) {
  if (!data.rows.length && !data.data_as_of && !runs.length) return noRunYet();
  const period = state.period || "day";
  const how = { ...PERIODS[period], period, asOf: data.data_as_of && dayIn(data.data_as_of) };
  const rows = data.rows.filter((row) => row.period === period && matches(state.dimension, row.dimension_key));
  const head = [
    filter.bar(data.keys, state, { on: ["everything below: it goes by the value at a user's first event"] }),
    el("div", { class: "controls" }, filter.choose("period", "By", [["day", "Day"], ["week", "Week"]], period, (value) => ({ period: value }))),
  ];
  if (!rows.length) {
    return [head, data.keys.length && state.dimension ? filter.noMatch(state.dimension, code(COMMAND))
      : notComputed(`Retention by ${period}`, code(COMMAND))];
  }
  const groups = [...groupBy(rows, (row) => row.dimension_key)];
  const values = filter.inOrder(groups.map(([key]) => key), data.keys).map((key, i) => ({
    key, label: key === "overall" ? "All users" : label(key), color: color(isRest(key) ? "rest" : i),
    cohorts: cohortsOf(groups.find(([one]) => one === key)[1]) }));
  const cohorts = unique(rows.map((row) => row.cohort_start)).sort();
  const reasons = (n) => cohorts.map((start) => (values.every(({ cohorts: of }) => of.get(start)?.cells.get(n)?.is_final !== false) ? null
    : `${how.title.toLowerCase()} ${n} of the cohort of ${writeDay(start)} ends on ${writeDay(addDays(start, (n + 1) * how.days - 1))}`));
  const share = (of, n) => (start) => of.get(start)?.cells.get(n)?.retention ?? null;
  const marked = (n) => values.some(({ cohorts: of }) => cohorts.some((start) => share(of, n)(start) !== null));
  const marks = how.marks.filter(marked);
  const lines = { file: `retention_${period}`, days: cohorts, write: percent, tick };
  const note = `Share of a cohort's users with an event in that ${period}${period === "week" ? ", from Monday to Sunday" : ""}.`;
  return [
    head,
    triangleCard(values, cohorts, how, COMMAND, state.days < 90 && el("button", { type: "button", onclick: () => go({ window: 90 }) }, "Show 90 days")),
    values.length === 1
      ? marks.length > 0 && dayLines({ ...lines, title: "Retention over cohorts", note,
        reasons: cohorts.map((_, i) => marks.map((n) => reasons(n)[i]).find(Boolean) ?? null),
        lines: marks.map((n, i) => ({ label: `${how.title} ${n}`, color: color(i), value: share(values[0].cohorts, n), final: reasons(n).map((text) => !text) })) })
      : marks.map((n) => dayLines({ ...lines, title: `${how.title} ${n} over cohorts`, file: `${lines.file}_${n}`, note, reasons: reasons(n),
        one: "value", which: "those with most users", lines: values.map((one) => ({ ...one, value: share(one.cohorts, n) })) })),
  ];
}

/** @returns {Map<string, {start: string, size: number|null, cells: Map<number, Object>}>} by first day */
function cohortsOf(rows) {
  return new Map([...groupBy(rows, (row) => row.cohort_start)].map(([start, some]) =>
    [start, { start, size: some[0].cohort_size, cells: new Map(some.map((row) => [row.period_number, row])) }]));
}
