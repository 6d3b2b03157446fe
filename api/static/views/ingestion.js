/** What came in: events by name, how late they came, and how the runs went. */

import * as api from "../api.js";
import { color, lineChart, stackedBars } from "../chart.js";
import { el, name } from "../dom.js";
import { csvButton, figure, table } from "../figure.js";
import { compact, count, percent, seconds } from "../format.js";
import { isFinal, reason, sum, topNames } from "../numbers.js";
import { noRunYet, nothingInWindow } from "../states.js";
import { runsCard } from "./runs.js";

const TOP = 6;

export const load = (state, options) => api.daily({ window_days: state.window }, options);

export function draw(data, state, { runs }) {
  const log = runs.length ? runsCard(runs) : null;
  if (!data.days.length) return [data.data_as_of || runs.length ? nothingInWindow(state.window) : noRunYet(), log];
  const names = topNames(data.days, TOP);
  return [
    el("div", { class: "grid wide-left" }, volume(data, names), namesCard(data, names)),
    el("div", { class: "grid wide-right" }, lag(data), log),
  ];
}

const volumeOf = (row, event) => {
  const volumes = row.metrics.event_volume_by_name ?? {};
  return Object.hasOwn(volumes, event) ? volumes[event] : 0;
};

function common(data, metric) {
  const days = data.days.map((row) => row.day);
  // A day without events has no volumes, and no word on whether they are final.
  const final = data.days.map((row) => isFinal(row.is_final, metric) && isFinal(row.is_final, "dau"));
  const reasons = days.map((day, i) => (final[i] ? null : reason(day, 0, data.data_as_of, data.generated_at)));
  return { days, final, reasons, file: `${days[0]}_${days[days.length - 1]}` };
}

function pending(reasons, word) {
  const open = [...new Set(reasons.filter(Boolean))];
  return open.length ? el("span", { class: "pending" }, `${word}: ${open.join("; ")}.`) : null;
}

function volume(data, { top, rest }) {
  const { days, final, reasons, file } = common(data, "event_volume_by_name");
  const parts = top.map((event, i) => ({ label: event, color: color(i), values: data.days.map((row) => volumeOf(row, event)) }));
  if (rest.length) {
    parts.push({
      label: `${rest.length} other${rest.length > 1 ? "s" : ""}`, color: color("rest"),
      values: data.days.map((row) => sum(rest.map((event) => volumeOf(row, event)))),
    });
  }
  const series = parts.map((part) => ({ ...part, final, reasons }));
  const columns = [{ label: "day" }, { label: "total", number: true, write: count },
    ...series.map((one) => ({ label: one.label, title: name(one.label, 20), number: true, write: count })),
    { label: "state", title: "State" }];
  return figure({
    title: "Event volume", file: `event_volume_${file}`, key: parts, size: "tall", columns,
    rows: days.map((day, i) => [day, sum(parts.map((one) => one.values[i])), ...parts.map((one) => one.values[i]), reasons[i] ?? "final"]).reverse(),
    note: pending(reasons, "Hollow"),
    summary: `Events by name over ${days.length} days. The button Table shows the numbers.`,
    draw: (host) => stackedBars(host, { days, series, format: count, tick: compact }),
  });
}

function namesCard(data, { all }) {
  const title = "Events by name";
  const total = sum(all.map(([, n]) => n));
  const columns = [
    { label: "event", title: "Event", write: (value) => name(value, 80) },
    { label: "events", title: "Events", number: true, write: count },
    { label: "share", title: "Share", number: true, write: percent },
  ];
  const rows = all.map(([event, n]) => [event, n, total ? n / total : 0]);
  const long = data.days.flatMap((row) => Object.entries(row.metrics.event_volume_by_name ?? {}).map(([event, n]) =>
    [row.day, event, n, isFinal(row.is_final, "event_volume_by_name") ? "final" : "not final"]));
  const file = [{ label: "day" }, { label: "event" }, { label: "events" }, { label: "state" }];
  return el("section", { class: "card figure names", "aria-labelledby": "names" },
    el("div", { class: "figure-head" }, el("h3", { id: "names" }, title),
      el("div", { class: "figure-tools" }, csvButton(title, "events_by_name_and_day", file, long))),
    rows.length ? table(title, columns, rows) : el("p", {}, "No events in this window."),
    el("p", { class: "note" }, `${count(all.length)} names, ${count(total)} events in this window, today included. The CSV has them by day.`));
}

function lag(data) {
  const { days, final, reasons, file } = common(data, "ingestion_lag_p50");
  const lines = [["ingestion_lag_p50", "Median", 0], ["ingestion_lag_p95", "95th percentile", 1]].map(([metric, label, nth]) =>
    ({ metric, label, color: color(nth), final, reasons, values: data.days.map((row) => row.metrics[metric] ?? null) }));
  return figure({
    title: "Ingestion lag", file: `ingestion_lag_${file}`, key: lines, size: "tall",
    columns: [{ label: "day" }, ...lines.map((line) => ({ label: line.metric, title: line.label, number: true, write: seconds })),
      { label: "state", title: "State" }],
    rows: days.map((day, i) => [day, ...lines.map((line) => line.values[i]), reasons[i] ?? "final"]).reverse(),
    note: ["From when an event happened to when it was received. ", pending(reasons, "Dashed")],
    summary: `Median and 95th percentile over ${days.length} days. The button Table shows the numbers.`,
    draw: (host) => lineChart(host, { days, series: lines, format: seconds }),
  });
}
