/** The daily metrics and the active users of a week and a month, each compared with the same weekdays before. */

import * as api from "../api.js";
import { isRest, label, matches, parse } from "../dimension.js";
import { el } from "../dom.js";
import { addDays, days as writeDays, firstDay, lastDay, percent, plural, seconds, tick } from "../format.js";
import { keyEvents, title } from "../labels.js";
import { MOST, groupBy, isFinal, mean, median, ratio, sum, unique, weeksBack, weighted } from "../numbers.js";
import { range } from "../state.js";
import { code, command, noRunYet, noneOf, notComputed, nothingInWindow } from "../states.js";
import * as filter from "./filter.js";
import { metricCard } from "./metric.js";

/** How each metric adds up over days, and which way is good. Users of several days never add up. */
const METRICS = {
  dau: { per: "average per day", total: mean, good: 1, adds: false },
  new_users: { per: "in total", total: sum, good: 1 },
  sessions_submitted: { per: "times in total", total: sum, good: 1, counts: true },
  logging_rate_24h: {
    per: "of new users", total: weighted, good: 1, horizon: 1, write: percent, tick, inPoints: true, counts: true,
  },
  ingestion_lag_p50: { per: "on the median day", total: median, good: -1, write: seconds },
  ingestion_lag_p95: { per: "on the median day", total: median, good: -1, write: seconds },
};
const BY_DIMENSION = Object.keys(METRICS).slice(0, 4);
const OTHER = { per: "average per day", total: mean, good: 0 };

const last = (values) => values[values.length - 1];
const ACTIVE = {
  week: { title: "Weekly active users", total: last, latest: true, good: 1, adds: false, note: "Distinct users of the 7 days that end with the day. " },
  month: { title: "Monthly active users", total: last, latest: true, good: 1, adds: false, note: "Distinct users of the 28 days that end with the day. " },
  stickiness: { title: "Stickiness", per: "average per day", total: mean, good: 1, write: percent, tick, inPoints: true,
    note: "Daily active users, of the users of the 28 days that end with the day. " },
};

export async function load(state, options) {
  const dimension = state.dimension && (parse(state.dimension).dimension ?? state.dimension);
  const asked = (days) => [
    api.optional(api.active({ ...days, dimension: dimension || "overall" }, options)),
    dimension ? api.optional(api.dimensions({ ...days, dimension }, options)) : { rows: [] },
  ];
  const [now, keys, active, split] = await Promise.all([
    api.daily(range(state), options), filter.keys(state, options), ...asked(range(state))]);
  const [start, end] = [firstDay(now.window_start), lastDay(now.window_end)];
  const shift = weeksBack(state.days);
  const earlier = { from: addDays(start, -shift), to: addDays(end, -shift) };
  const [before, activeBefore, splitBefore] = await Promise.all([api.optional(api.daily(earlier, options)), ...asked(earlier)]);
  return {
    ...now, keys, shift, start, end, before: before.days, error: { active: active.error, split: split.error },
    active: [...activeBefore.rows, ...active.rows], split: [...splitBefore.rows, ...split.rows],
  };
}

export function draw(data, state, { runs }) {
  if (!data.days.length) return data.data_as_of || runs.length ? nothingInWindow(state) : noRunYet();
  const known = Object.keys(METRICS);
  const extra = Object.keys(data.days[data.days.length - 1].metrics)
    .filter((metric) => metric !== "event_volume_by_name" && !known.includes(metric));
  const metrics = [...known, ...extra];
  const names = unique(data.days.flatMap((row) => Object.keys(row.metrics.event_volume_by_name ?? {})));
  const common = { days: data.days.map((row) => row.day), shift: data.shift, asOf: data.data_as_of, now: data.generated_at };
  const split = state.dimension ? byValue(data.split, state.dimension, (row) => row.metric_name, data) : null;
  const daily = (metric) => {
    const how = { file: metric, title: title(metric), ...(known.includes(metric) ? METRICS[metric] : OTHER) };
    const counted = how.counts && keyEvents();
    if (counted?.length && names.length && !counted.some((one) => names.includes(one))) return withoutEvents(how, names.length);
    const lines = split && BY_DIMENSION.includes(metric) ? split.get(metric) : [overall(metric, data)];
    return lines?.length ? metricCard(how, lines, { ...common, tag: split && !BY_DIMENSION.includes(metric) && "all users" }) : null;
  };
  const unsplit = split && !split.size && (data.split.length
    ? filter.noMatch(state.dimension, command("daily", state))
    : notComputed("Metrics by dimension", command("daily", state), data.error.split));
  return [
    filter.bar(data.keys, state, { on: ["the daily metrics", "weekly and monthly active users"], off: ["ingestion lag", ...(extra.length ? ["metrics of your own"] : [])] }),
    unsplit,
    el("div", { class: "grid" }, metrics.slice(0, MOST.cards).map(daily)),
    el("p", { class: "note" }, "Totals and averages are over final days. Each is compared with the same weekdays ",
      `${plural(data.shift / 7, "week")} before (${writeDays(addDays(data.start, -data.shift), addDays(data.end, -data.shift))}): the thin line.`,
      metrics.length > MOST.cards && [` ${plural(metrics.length - MOST.cards, "more metric")}: in the API, `, code("v1/metrics/daily"), "."]),
    el("h2", { class: "section" }, "Users of a week and of a month"),
    activeCards(data, state, common),
  ];
}

function withoutEvents({ title }, all) {
  return el("section", { class: "card figure" }, el("h3", {}, title),
    el("p", { class: "note" }, noneOf(all, keyEvents()), ", which this metric counts. It has no numbers without it; name the app's own in ",
      code("KEY_EVENT"), "."));
}

function overall(metric, data) {
  return { points: new Map([...data.before, ...data.days].map((row) => [row.day, {
    value: row.metrics[metric] ?? null, size: row.metrics.new_users, final: isFinal(row.is_final, metric) }])) };
}

/**
 * Lines by value for each metric. On a day that has other values, a value without a row is 0.
 * @returns {Map<string, Array>} nothing when no row has the filter's value
 */
function byValue(rows, wanted, metricOf, data) {
  const chosen = new Set(rows.filter((row) => row.day >= data.start && matches(wanted, row.dimension_key)).map((row) => row.dimension_key));
  const metrics = chosen.size ? groupBy(rows, metricOf) : new Map();
  return new Map([...metrics].map(([metric, some]) => {
    const final = new Map(some.map((row) => [row.day, row.is_final !== false]));
    const of = groupBy(some, (row) => row.dimension_key);
    return [metric, filter.inOrder(chosen, data.keys).map((key) => {
      const points = new Map([...final].map(([day, done]) => [day, { value: metric === "logging_rate_24h" ? null : 0, final: done }]));
      for (const row of of.get(key) ?? []) {
        points.set(row.day, { value: row.value ?? row.users_count, size: row.dimensions?.cohort_size, final: row.is_final !== false });
      }
      return { label: label(key), rest: isRest(key), points };
    })];
  }));
}

function activeCards(data, state, common) {
  const lines = byValue(data.active, state.dimension || "", (row) => row.period, data);
  if (!lines.size) {
    return data.active.length ? filter.noMatch(state.dimension, command("retention", state))
      : notComputed("Active users", command("retention", state), data.error.active);
  }
  const monthly = lines.get("month") ?? [];
  const daily = new Map((lines.get("day") ?? []).map((line) => [line.label, line]));
  lines.set("stickiness", monthly.map((line) => ({ ...line, points: new Map([...line.points].map(([day, month]) =>
    [day, { value: ratio(daily.get(line.label)?.points.get(day)?.value, month.value), final: month.final }])) })));
  return el("div", { class: "grid" }, Object.entries(ACTIVE).map(([period, how]) =>
    lines.get(period)?.length > 0 && metricCard({ file: `active_users_${period}`, ...how }, lines.get(period), common)));
}
