/** Experiments: a list to choose from, and the chosen one's variants, control first. */

import * as api from "../api.js";
import { color, lineChart } from "../chart.js";
import { el, name } from "../dom.js";
import { figure } from "../figure.js";
import { compact, count, date, percent, tick } from "../format.js";
import { reason, unique } from "../numbers.js";
import { hashWith } from "../state.js";
import { message, noExperiments, nothingInWindow, noRunYet } from "../states.js";
import { variantsCard } from "./variants.js";

const METRICS = [
  { metric: "logging_rate_24h_by_variant", title: "24-hour logging rate", horizon: 1, write: percent, tick,
    help: "Share of the day's new users in the variant who submit a session within 24 hours." },
  { metric: "users_active_d1", title: "Active after the first day", horizon: 1,
    help: "Users of the day's cohort with another event in the day after their first." },
  { metric: "sessions_submitted_d7", title: "Sessions in seven days", horizon: 7,
    help: "Sessions that the day's cohort submits within seven days." },
  { metric: "users_assigned", title: "Users assigned", horizon: 0, zero: false,
    help: "Everyone assigned to the variant by the end of the day. The scale does not begin at zero." },
];

export const load = (state, options) => api.experiments({ window_days: state.window }, options);

export function draw(data, state, { runs }) {
  const all = data.experiments;
  if (!all.length) return data.data_as_of || runs.length ? noExperiments() : noRunYet();
  const chosen = all.find((one) => one.experiment_id === state.experiment)
    ?? all.find((one) => one.status === "RUNNING" && one.latest_day) ?? all[0];
  const missing = state.experiment && chosen.experiment_id !== state.experiment
    ? message("No such experiment", ["There is no experiment called ", name(state.experiment), ". Here is another."]) : null;
  return [missing, el("div", { class: "split" }, picker(all, chosen), detail(chosen, data, state))];
}

function picker(all, chosen) {
  return el("nav", { class: "card picker", "aria-label": "Experiments" },
    el("ul", {}, all.map((one, nth) => el("li", {},
      el("a", {
        id: `experiment-${nth}`,
        href: hashWith({ view: "experiments", experiment: one.experiment_id }),
        "aria-current": one === chosen && "true",
      }, name(one.experiment_id, 40), status(one.status))))));
}

const STATUS = { RUNNING: "running", PAUSED: "paused", ENDED: "ended", DRAFT: "draft" };

function status(value) {
  return el("span", { class: `status ${STATUS[value] ?? ""}` }, STATUS[value] ?? String(value ?? "unknown").slice(0, 24).toLowerCase());
}

function detail(one, data, state) {
  const variants = inOrder(one);
  const days = unique(one.series.map((point) => point.day));
  const when = [one.start_at && `from ${date(one.start_at)}`, one.end_at && `until ${date(one.end_at)}`].filter(Boolean).join(" ");
  const targeting = Object.entries(one.targeting ?? {});
  return el("div", { class: "detail" },
    el("header", { class: "detail-head" },
      el("h2", {}, name(one.experiment_id, 80)), status(one.status),
      el("p", { class: "note" }, when || "no dates set",
        targeting.length ? [" · ", targeting.slice(0, 8).map(([key, value], i) =>
          [i ? ", " : "", name(key, 24), " ", name(Array.isArray(value) ? value.join(", ") : JSON.stringify(value), 60)])] : null)),
    days.length ? [
      variantsCard(one, variants),
      el("div", { class: "grid two" }, METRICS.map((how) => card(how, one, variants, days, data))),
    ] : one.status === "DRAFT"
      ? message("Not started", "A draft has no numbers. They begin with the run after it is started.")
      : nothingInWindow(state.window));
}

/** The control first, then by id; each with the colour that it keeps throughout. */
function inOrder(one) {
  let nth = 0;
  const known = new Map(one.variants.map((variant) => [variant.variant_id, variant]));
  for (const { variant_id: id } of one.series) if (!known.has(id)) known.set(id, { variant_id: id });
  return [...known.values()]
    .sort((a, b) => (b.is_control === true) - (a.is_control === true) || (a.variant_id < b.variant_id ? -1 : 1))
    .map((variant) => ({ ...variant, label: label(variant), color: color(variant.is_control ? "control" : nth++) }));
}

export const label = ({ variant_id: id, variant_name: called }) => (called && called !== id ? `${id} ${called}` : id);

function card({ metric, title, horizon, write = count, tick: ticks = compact, zero = true, help }, one, variants, days, data) {
  const points = new Map(one.series.filter((point) => point.metric_name === metric)
    .map((point) => [JSON.stringify([point.variant_id, point.day]), point]));
  const at = (variant, day) => points.get(JSON.stringify([variant.variant_id, day]));
  const series = variants.map((variant) => {
    const found = days.map((day) => at(variant, day));
    const final = found.map((point) => point?.is_final !== false);
    return {
      label: variant.label, color: variant.color, final,
      values: found.map((point) => point?.value ?? null),
      reasons: days.map((day, i) => (final[i] ? null : reason(day, horizon, data.data_as_of, data.generated_at))),
    };
  });
  const rows = days.flatMap((day, i) => variants.map((variant, v) => [
    day, variant.variant_id, series[v].values[i], at(variant, day)?.dimensions?.cohort_size ?? null,
    series[v].reasons[i] ?? "final",
  ]));
  const open = unique(series.flatMap((row) => row.reasons.filter(Boolean)));
  return figure({
    title,
    file: `${one.experiment_id.replace(/[^\w-]+/g, "_").slice(0, 60)}_${metric}_${days[0]}_${days[days.length - 1]}`,
    columns: [
      { label: "day" }, { label: "variant", write: (value) => name(value, 24) },
      { label: metric, title, number: true, write }, { label: "cohort", number: true, write: count },
      { label: "state", title: "State" },
    ],
    rows: rows.reverse(),
    key: variants.map((variant) => ({ label: variant.label, color: variant.color, control: variant.is_control })),
    note: [help, open.length ? el("span", { class: "pending" }, ` Dashed: ${dashed(open)}.`) : null],
    summary: `${variants.length} variants over ${days.length} days. The button Table shows the numbers.`,
    draw: (host) => lineChart(host, { days, series, format: write, tick: ticks, zero }),
  });
}

const dashed = (reasons) => (reasons.length > 2 ? `${reasons[0]}; … ${reasons[reasons.length - 1]}` : reasons.join("; "));
