/** The daily metrics, each with its trend and its change against the window before. */

import * as api from "../api.js";
import { color, lineChart, swatch } from "../chart.js";
import { el } from "../dom.js";
import { figure } from "../figure.js";
import { addDays, compact, count, day, percent, plural, points, relative, seconds, tick, words } from "../format.js";
import { MOST, isFinal, mean, median, reason, sum, weighted } from "../numbers.js";
import { noRunYet, nothingInWindow } from "../states.js";

/** How each metric adds up over days, and which way is good. Users of several days never add up. */
const METRICS = {
  dau: { title: "Daily active users", per: "average per day", total: mean, good: 1 },
  new_users: { title: "New users", per: "in total", total: sum, good: 1 },
  sessions_submitted: { title: "Sessions submitted", per: "in total", total: sum, good: 1 },
  logging_rate_24h: {
    title: "24-hour logging rate", per: "of new users", total: weighted, good: 1, horizon: 1,
    write: percent, tick, inPoints: true,
  },
  ingestion_lag_p50: { title: "Ingestion lag, p50", per: "on the median day", total: median, good: -1, write: seconds },
  ingestion_lag_p95: {
    title: "Ingestion lag, p95", per: "on the median day", total: median, good: -1, write: seconds,
  },
};
const other = (metric) => ({ title: words(metric), per: "average per day", total: mean, good: 0 });

export async function load(state, options) {
  const now = await api.daily({ window_days: state.window }, options);
  const start = now.window_start.slice(0, 10);
  const before = await api.daily({ from: addDays(start, -state.window), to: addDays(start, -1) }, options)
    .catch((error) => { if (error.status === 401) throw error; return { days: [] }; });
  return { ...now, before: before.days };
}

export function draw(data, state, { runs }) {
  if (!data.days.length) return data.data_as_of || runs.length ? nothingInWindow(state.window) : noRunYet();
  const known = Object.keys(METRICS);
  const extra = Object.keys(data.days[data.days.length - 1].metrics)
    .filter((metric) => metric !== "event_volume_by_name" && !known.includes(metric));
  const metrics = [...known, ...extra];
  return [
    el("div", { class: "grid" }, metrics.slice(0, MOST.cards).map((metric) => card(metric, data, state))),
    el("p", { class: "note" }, "Totals and averages are over final days. Each is compared with the same days one window earlier.",
      metrics.length > MOST.cards && [` ${plural(metrics.length - MOST.cards, "more metric")}: in the API, `, el("code", {}, "v1/metrics/daily"), "."]),
  ];
}

function card(metric, data, state) {
  const how = { write: count, tick: compact, ...(METRICS[metric] ?? other(metric)) };
  how.tick = how.write === seconds ? seconds : how.tick;
  const days = data.days.map((row) => row.day);
  const values = data.days.map((row) => row.metrics[metric] ?? null);
  const final = data.days.map((row) => isFinal(row.is_final, metric));
  const reasons = days.map((one, i) => (final[i] ? null : reason(one, how.horizon ?? 0, data.data_as_of, data.generated_at)));
  const ready = data.days.filter((row, i) => final[i] && values[i] !== null);
  const value = ready.length ? total(how, metric, ready) : NaN;
  const pending = days.map((_, i) => i).filter((i) => !final[i] && values[i] !== null);
  const soFar = pending.slice(-MOST.lines).map((i) => el("span", { class: "so-far" }, swatch(color(0), false),
    `${day(days[i])}: ${how.write(values[i])} (${reasons[i]})`));
  return figure({
    title: how.title,
    file: `${metric}_${days[0]}_${days[days.length - 1]}`,
    columns: [
      { label: "day" },
      { label: metric, title: how.title, number: true, write: how.write },
      { label: "state", title: "State" },
    ],
    rows: () => days.map((one, i) => [one, values[i], reasons[i] ?? "final"]).reverse(),
    head: [
      el("p", { class: "headline" }, el("b", { class: "value" }, how.write(value)), " ", el("span", {}, how.per)),
      change(how, metric, value, ready, data.before, state.window),
    ],
    note: soFar.length ? [soFar, pending.length > soFar.length && "Earlier days that are not final are in the table."] : null,
    summary: `${days.length} days, ${how.write(value)} ${how.per} over ${ready.length} final days.`,
    draw: (host) => lineChart(host, {
      days, format: how.write, tick: how.tick, area: true,
      series: [{ label: how.title, values, final, reasons, color: color(0) }],
    }),
  });
}

const total = (how, metric, rows) =>
  how.total(rows.map((row) => row.metrics[metric]), rows.map((row) => row.metrics.new_users ?? 0));

/** Compares final days only, each with the day one window earlier. */
function change(how, metric, value, ready, before, window) {
  const earlier = new Map(before.map((row) => [row.day, row]));
  const rows = ready.map((row) => earlier.get(addDays(row.day, -window)));
  const nothing = (why) => el("p", { class: "change" }, `No comparison: ${why}`);
  if (!ready.length) return nothing("no day is final yet");
  if (rows.some((row) => (row?.metrics[metric] ?? null) === null)) return nothing(`the ${window} days before are not all there`);
  const was = total(how, metric, rows);
  const moved = how.inPoints ? value - was : (value - was) / was;
  if (!Number.isFinite(moved)) return nothing("there was nothing before");
  const text = how.inPoints ? points(moved) : relative(moved);
  const flat = Math.abs(moved) < 0.0005;
  const mood = flat || !how.good ? "" : Math.sign(moved) === how.good ? "good" : "bad";
  return el("p", { class: "change" },
    el("b", { class: mood }, el("span", { "aria-hidden": "true" }, flat ? "" : moved > 0 ? "▲ " : "▼ "), flat ? "no change" : text),
    ` from ${how.write(was)}, the ${window} days before`);
}
