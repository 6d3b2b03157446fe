/** Events by name, ingestion lag and the latest runs. */

import * as api from "../api.js";
import { color, lineChart, stackedBars } from "../chart.js";
import { el, name } from "../dom.js";
import { card, figure, pending } from "../figure.js";
import { compact, count, percent, plural, seconds } from "../format.js";
import { MOST, eventTotals, isFinal, reason, sum } from "../numbers.js";
import { range } from "../state.js";
import { noRunYet, nothingInWindow } from "../states.js";
import * as filter from "./filter.js";
import { runsCard } from "./runs.js";

const TOP = 6;

export const load = (state, options) => api.daily(range(state), options);

export function draw(data, state, { runs }) {
  const log = runs.length ? runsCard(runs) : null;
  if (!data.days.length) return [data.data_as_of || runs.length ? nothingInWindow(state) : noRunYet(), log];
  const totals = eventTotals(data.days);
  return [
    state.dimension && filter.bar([], state, { off: ["events by name and lag"] }),
    el("div", { class: "grid wide-left" }, volume(data, totals), namesCard(data, totals)),
    el("div", { class: "grid wide-right" }, lag(data), log),
  ];
}

const volumeOf = (row, event) => {
  const volumes = row.metrics.event_volume_by_name ?? {};
  return Object.hasOwn(volumes, event) ? volumes[event] : 0;
};

function common(data, metric) {
  const days = data.days.map((row) => row.day);
  // A day without events has no volumes, and no flag that says whether they are final.
  const final = data.days.map((row) => isFinal(row.is_final, metric) && isFinal(row.is_final, "dau"));
  const reasons = days.map((day, i) => (final[i] ? null : reason(day, 0, data.data_as_of, data.generated_at)));
  return { days, final, reasons, file: `${days[0]}_${days[days.length - 1]}` };
}

function volume(data, { byName, byDay }) {
  const { days, final, reasons, file } = common(data, "event_volume_by_name");
  const parts = byName.slice(0, TOP).map(([event], i) =>
    ({ label: event, color: color(i), values: data.days.map((row) => volumeOf(row, event)) }));
  if (byName.length > TOP) {
    parts.push({
      label: plural(byName.length - TOP, "other"), color: color("rest"),
      values: byDay.map((total, i) => total - sum(parts.map((part) => part.values[i]))),
    });
  }
  const series = parts.map((part) => ({ ...part, final, reasons }));
  return figure({
    title: "Event volume", file: `event_volume_${file}`, key: parts, size: "tall",
    columns: [{ label: "day" }, { label: "total", number: true, write: count },
      ...series.map((one) => ({ label: one.label, title: name(one.label, 20), number: true, write: count })),
      { label: "state", title: "State" }],
    rows: () => days.map((day, i) => [day, byDay[i], ...parts.map((one) => one.values[i]), reasons[i] ?? "final"]).reverse(),
    note: [pending(reasons, "Hollow"), byName.length > TOP && " “Events by name” has the others one by one."],
    summary: `Events by name over ${days.length} days.`,
    draw: (host) => stackedBars(host, { days, series, format: count, tick: compact }),
  });
}

function namesCard(data, { byName, byDay }) {
  const total = sum(byDay);
  const left = byName.length - MOST.rows;
  const node = card({
    title: "Events by name", file: "events_by_name_and_day",
    columns: [
      { label: "event", title: "Event", write: (value) => name(value, 80) },
      { label: "events", title: "Events", number: true, write: count },
      { label: "share", title: "Share", number: true, write: percent },
    ],
    rows: () => byName.map(([event, n]) => [event, n, total ? n / total : 0]),
    adds: ["events", "share"],
    csv: {
      columns: [{ label: "day" }, { label: "event" }, { label: "events" }, { label: "state" }],
      rows: () => data.days.flatMap((row) => Object.entries(row.metrics.event_volume_by_name ?? {}).map(([event, n]) =>
        [row.day, event, n, isFinal(row.is_final, "event_volume_by_name") ? "final" : "not final"])),
    },
    note: [`${plural(byName.length, "name")}, ${plural(total, "event")} in this window, today included. `,
      left > 0 ? `The table ends with ${count(left)} of them in one row. The CSV has every name by day.` : "The CSV has them by day."],
  });
  node.classList.add("names");
  return node;
}

function lag(data) {
  const { days, final, reasons, file } = common(data, "ingestion_lag_p50");
  const lines = [["ingestion_lag_p50", "Median", 0], ["ingestion_lag_p95", "95th percentile", 1]].map(([metric, label, nth]) =>
    ({ metric, label, color: color(nth), final, reasons, values: data.days.map((row) => row.metrics[metric] ?? null) }));
  return figure({
    title: "Ingestion lag", file: `ingestion_lag_${file}`, key: lines, size: "tall",
    columns: [{ label: "day" }, ...lines.map((line) => ({ label: line.metric, title: line.label, number: true, write: seconds })),
      { label: "state", title: "State" }],
    rows: () => days.map((day, i) => [day, ...lines.map((line) => line.values[i]), reasons[i] ?? "final"]).reverse(),
    note: ["From when an event happened to when it was received.", pending(reasons, "Dashed")],
    summary: `Median and 95th percentile over ${days.length} days.`,
    draw: (host) => lineChart(host, { days, series: lines, format: seconds }),
  });
}
