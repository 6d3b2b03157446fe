/** Experiments: a list to choose from, the chosen one's verdict, and its days. */

import * as api from "../api.js";
import { color, lineChart } from "../chart.js";
import { el, fill, name } from "../dom.js";
import { figure, partly, pending } from "../figure.js";
import { count, date, decimal, percent, plural, tick } from "../format.js";
import { quotedKeyEvent, title as titleOf } from "../labels.js";
import { MOST, first, reason, sum, unique } from "../numbers.js";
import { hashWith, range } from "../state.js";
import { explained, message, noExperiments, noReadout, noRunYet, nothingInWindow } from "../states.js";
import * as filter from "./filter.js";
import { resultsCard, variantsCard } from "./results.js";
import { healthCard, results, verdictCard } from "./verdict.js";

const SIZE = { label: "cohort", number: true, write: count };

/** Variants differ in size, so each metric is drawn per user: `k` of the day's cohort, or of all assigned users. */
const METRICS = [
  { metric: "logging_rate_24h_by_variant", horizon: 1, write: percent, tick,
    k: (point) => point.dimensions?.converted_users, count: { label: "converted_users", title: "Users who did" },
    help: () => `Share of the day's new users in the variant with ${quotedKeyEvent()} within 24 hours.` },
  { metric: "users_active_d1", title: "Second event within 24 hours", label: "second_event_24h_share", horizon: 1, write: percent, tick,
    k: (point) => point.value, count: { label: "users_active_d1", title: "Users with a second event" },
    help: () => "Share of the day's new users in the variant with another event in the 24 hours after their first. "
      + "This is not day-1 retention: both events may be on one day." },
  { metric: "sessions_submitted_d7", label: "sessions_d7_per_user", horizon: 7, write: decimal,
    tick: decimal, k: (point) => point.value, count: { label: "sessions_submitted_d7", title: "Events" },
    help: () => `How often ${quotedKeyEvent()} happened per new user of the day in the variant, within seven days.` },
  { metric: "users_assigned", title: "Share of assigned users", label: "share_of_assigned", horizon: 0, zero: false, write: percent, tick,
    k: (point) => point.value, count: { label: "users_assigned", title: "Users assigned" },
    help: () => "Users assigned to the variant by the end of the day, of those assigned to any. Their weights say what it should be. "
      + "The scale does not begin at zero." },
];

const choose = (all, id) => all.find((one) => one.experiment_id === id)
  ?? all.find((one) => one.status === "RUNNING" && one.latest_day) ?? all[0];

export async function load(state, options) {
  const data = await api.experiments(range(state), options);
  const { experiment_id: id } = choose(data.experiments, state.experiment) ?? {};
  if (id === undefined) return data;
  // Without the read-out the days can still be shown.
  const readout = await api.readouts(id, options).then(({ experiments }) => experiments.find((one) => one.experiment_id === id))
    .catch((error) => { if (!(error instanceof api.ApiError) || error.status === 401) throw error; return { error }; });
  return { ...data, readout };
}

export function draw(data, state, { runs, unmet }) {
  const all = data.experiments;
  if (!all.length) return data.data_as_of || runs.length ? noExperiments() : noRunYet();
  const chosen = choose(all, state.experiment);
  if (state.experiment && chosen.experiment_id !== state.experiment) {
    unmet("There is no experiment ", name(state.experiment), ". Shown: ", name(chosen.experiment_id), ".");
  }
  return [
    state.dimension && filter.bar([], state, { off: ["experiments"] }),
    el("div", { class: "split" }, picker(all, chosen), detail(chosen, data, state)),
  ];
}

/** Links to the experiments, and a field to search them by when they are many. */
function picker(all, chosen) {
  const list = el("ul");
  const link = (one) => el("li", {}, el("a", {
    id: `experiment-${all.indexOf(one)}`,
    href: hashWith({ view: "experiments", experiment: one.experiment_id }),
    "aria-current": one === chosen && "true",
  }, name(one.experiment_id, 40), status(one.status)));
  const show = (part) => {
    const found = all.filter((one) => one.experiment_id.toLowerCase().includes(part.toLowerCase()));
    const shown = first(found, MOST.choices, chosen);
    const left = found.length - shown.length;
    fill(list, shown.map(link), left > 0 && el("li", { class: "note" }, `${plural(left, "other")}: type a part of the name.`),
      !found.length && el("li", { class: "note" }, "No experiment has this in its name."));
  };
  show("");
  // On a phone the list is one row.
  requestAnimationFrame(() => { list.scrollLeft = list.querySelector("[aria-current]").offsetLeft - list.offsetLeft; });
  return el("nav", { class: "card picker", "aria-label": "Experiments" },
    all.length > MOST.choices && el("input", { type: "search", id: "find", placeholder: `Find one of ${count(all.length)}`,
      "aria-label": "Find an experiment", oninput: (event) => show(event.target.value) }),
    list);
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
          [i ? ", " : "", name(key, 24), " ", name(Array.isArray(value) ? value.join(", ") : JSON.stringify(value), 60)]),
        targeting.length > 8 && `, and ${targeting.length - 8} more in the API's answer`] : null)),
    decision(one, variants, data.readout),
    days.length ? daily(one, variants, days, data) : one.status !== "DRAFT" && nothingInWindow(state));
}

/** What the experiment's whole life says, or what is to be done so that it says something. */
function decision(one, variants, readout) {
  if (readout?.error) return message("No verdict", explained(readout.error).join(": "));
  const rows = readout ? results(readout) : [];
  const health = readout?.health;
  const sizes = variants.length > 0 && variantsCard(one.experiment_id, variants, health);
  if (one.status === "DRAFT" || !rows.length || !health?.covers_from) return [noReadout(one, health), sizes];
  const labels = new Map(variants.map((variant) => [variant.variant_id, variant.label]));
  const called = (id) => name(labels.get(id) ?? id, 40);
  return [verdictCard(one, rows, health, called), healthCard(health, rows), resultsCard(one.experiment_id, rows, called), sizes];
}

/** The days of the window, of new users: not what the verdict is about. */
function daily(one, variants, days, data) {
  const points = new Map();
  for (const point of one.series) points.set(key(point.metric_name, point.variant_id, point.day), point);
  const find = (metric, id, day) => points.get(key(metric, id, day));
  return [
    el("h2", { class: "section" }, "New users, day by day"),
    el("p", { class: "note" }, "Users by the day of their first event, in the days chosen above, whenever they were assigned. "
      + "The verdict is not about these: it is about everybody who was exposed."),
    el("div", { class: "grid two" }, METRICS.map((how) => card(how, one, variants, days, find, data))),
  ];
}

const key = (...parts) => JSON.stringify(parts);

/** The control first, then by id, or by size where they are too many to be drawn; each with its colour. */
function inOrder(one) {
  const known = new Map(one.variants.map((variant) => [variant.variant_id, variant]));
  for (const { variant_id: id } of one.series) if (!known.has(id)) known.set(id, { variant_id: id });
  const size = (variant) => (known.size > MOST.lines ? one.latest_metrics_by_variant[variant.variant_id]?.users_assigned ?? 0 : 0);
  return colored([...known.values()].sort((a, b) => (b.is_control === true) - (a.is_control === true)
    || size(b) - size(a) || (a.variant_id < b.variant_id ? -1 : 1)));
}

/** Gives variants their labels and colours; those that charts leave out share one. */
export function colored(variants) {
  let nth = 0;
  return variants.map((variant, i) => ({
    ...variant, control: variant.is_control === true, label: label(variant),
    color: color(variant.is_control ? "control" : i < MOST.lines ? nth++ : "rest"),
  }));
}

const label = ({ variant_id: id, variant_name: called }) => (called && called !== id ? `${id} ${called}` : id);

function card({ metric, title: given, label: called = metric, horizon, write, tick: ticks, k, count: extra, zero = true, help }, one, variants, days, find, data) {
  const title = given ?? titleOf(metric);
  const cohort = (point) => point?.dimensions?.cohort_size ?? null;
  const all = metric === "users_assigned"
    && new Map(days.map((day) => [day, sum(variants.map((variant) => find(metric, variant.variant_id, day)?.value ?? 0))]));
  const size = (point) => (all ? all.get(point?.day) : cohort(point));
  // An empty cohort has no rate; the API's 0 would look like one.
  const shown = (point) => (size(point) ? k(point) / size(point) : null);
  const drawn = variants.slice(0, MOST.lines);
  const series = drawn.map((variant) => {
    const found = days.map((day) => find(metric, variant.variant_id, day));
    const final = found.map((point) => point?.is_final !== false);
    return {
      label: variant.label, color: variant.color, final, values: found.map(shown),
      reasons: days.map((day, i) => (final[i] ? null : reason(day, horizon, data.data_as_of, data.generated_at))),
    };
  });
  const rows = () => days.flatMap((day) => {
    const found = variants.map((variant) => find(metric, variant.variant_id, day));
    return found.map((point, v) => [
      day, variants[v].variant_id, shown(point), point ? k(point) : null, cohort(point),
      point?.is_final === false ? reason(day, horizon, data.data_as_of, data.generated_at) : "final",
    ]);
  }).reverse();
  return figure({
    title,
    file: `${one.experiment_id}_${metric}_${days[0]}_${days[days.length - 1]}`,
    columns: [
      { label: "day" }, { label: "variant", write: (value) => name(value, 24) },
      { label: called, title, number: true, write }, { number: true, write: count, ...extra }, SIZE,
      { label: "state", title: "State" },
    ],
    rows,
    key: drawn,
    note: [help(), partly(drawn.length, variants.length, "variant", "the control first, then the largest"),
      pending(series.flatMap((row) => row.reasons.filter((_, i) => row.values[i] !== null)), "Dashed")],
    summary: `${plural(variants.length, "variant")} over ${days.length} days.`,
    draw: (host) => lineChart(host, { days, series, format: write, tick: ticks, zero }),
  });
}
