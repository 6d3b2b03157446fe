/** The read-outs of an experiment: each variant against the control, by metric. */

import { COLUMNS, equals, meaning, numbers, range, value } from "../definitions.js";
import { swatch } from "../chart.js";
import { el, name, svg } from "../dom.js";
import { card, partly } from "../figure.js";
import { count, percent, relative, tick } from "../format.js";
import { MOST } from "../numbers.js";
import { metricName } from "./verdict.js";

const SAYS = {
  better: "better", worse: "worse", wait: "wait", no_difference_yet: "no clear difference", blocked: "blocked by a check",
};
const NO_LIFT = {
  no_control: "no single control", too_few: "fewer than 30 users in a variant", zero_control: "the control is zero",
  zero_denominator: "the denominator is zero", zero_variance: "all users alike",
};
const CLEAR = ["better", "worse"];
let both = false; // whether the fixed intervals are shown

/**
 * @param {string} id of the experiment
 * @param {Array} rows the read-outs with their metrics, the goals first
 * @param {(id: string) => Node} called writes a variant's name
 */
export function resultsCard(id, rows, called) {
  const order = (row) => -CLEAR.includes(row.verdict);
  const shown = rows.map((row, i) => [row, i]).sort(([a, i], [b, j]) => order(a) - order(b) || i - j).slice(0, MOST.results)
    .sort(([, i], [, j]) => i - j).map(([row]) => row);
  const most = scale(shown);
  const picture = el("div", { class: "results" }, axis(most), groups(shown).map(([title, metrics]) => [
    el("h4", { class: "role" }, title), metrics.map((group) => metricRows(group, most, called))]));
  const which = el("p", { class: "note" });
  const show = () => {
    picture.classList.toggle("with-fixed", both);
    which.textContent = both ? BOTH : ALWAYS;
  };
  const fixed = el("input", { type: "checkbox", id: "fixed", checked: both, onchange: () => { both = fixed.checked; show(); } });
  show();
  return card({
    title: "Against the control", file: `${id}_readouts`, picture,
    head: [which, el("label", { class: "choice" }, fixed, "Fixed interval too")],
    columns: [
      { label: "metric_name", title: "Metric", write: (cell, { of }) => metricName(of) },
      { label: "variant_id", title: "Variant", write: called },
      ...COLUMNS.map((column) => ({ ...column, number: column.write !== String,
        write: (cell, { of }) => (cell === null || cell === undefined ? "–" : column.write(cell, of.metric)) })),
    ],
    rows: () => rows.map((row) => Object.assign(
      [row.metric.metric_name, row.variant_id, ...COLUMNS.map(({ label }) => row[label])], { of: row })),
    note: partly(shown.length, rows.length, "comparison", "clear results and goals first"),
  });
}

const ALWAYS = "Lines: the always-valid 95% interval of the lift, safe to look at every day. p is of the same test.";
const BOTH = "Upper line: the always-valid 95% interval of the lift, safe to look at every day. Lower line: the fixed 95% interval, with the "
  + "p-value of the difference; right for one look at an end that was planned, and not what the verdict uses.";

/** The rows by role, and by metric. */
function groups(rows) {
  return [["Goals", "goal"], ["Secondary", "secondary"], ["Guardrails", "guardrail"]].map(([title, role]) => {
    const metrics = new Map();
    for (const row of rows) if (row.metric.role === role) metrics.set(row.metric, [...(metrics.get(row.metric) ?? []), row]);
    return [title, [...metrics.values()]];
  }).filter(([, metrics]) => metrics.length);
}

function metricRows(rows, most, called) {
  const [{ metric }] = rows;
  return el("section", { class: "metric" },
    el("h5", {}, metricName(rows[0])),
    el("p", { class: "note" }, el("bdi", {}, meaning(metric)), metric.desired === "decrease" ? " Less is better." : " More is better."),
    el("ul", {}, rows.map((row) => result(row, most, called))));
}

function result(row, most, called) {
  const { metric } = row;
  const has = Number.isFinite(row.lift);
  const mood = { better: "good", worse: "bad" }[row.verdict] ?? "";
  const more = el("details", { ontoggle: () => more.children.length < 2 && more.append(explained(row)) },
    el("summary", {}, "How is this computed?", el("span", { class: "sr" }, " ", metricName(row), " ", called(row.variant_id))));
  return el("li", { class: `result ${row.verdict}` },
    el("span", { class: "variant" }, called(row.variant_id)),
    el("span", { class: "pair" }, el("b", {}, value(row.value, metric)), el("span", { class: "range" }, `control ${value(row.control_value, metric)}`)),
    has ? plot(row, most) : el("span", { class: "range" }, `No test: ${NO_LIFT[row.status] ?? row.status}`),
    el("span", { class: "pair" }, has && [
      el("b", { class: mood }, relative(row.lift)),
      el("span", { class: "range" }, `${range(row.lift_always_low, row.lift_always_high)}, p\u00a0${equals(row.p_always)}`),
      el("span", { class: "range fixed" }, `fixed ${range(row.lift_low, row.lift_high)}, p\u00a0${equals(row.p_value)}`)]),
    el("span", { class: `says ${mood}` }, SAYS[row.verdict] ?? String(row.verdict)),
    more);
}

const explained = (row) => el("dl", {}, numbers(row, row.metric).map(([title, shown, how]) =>
  el("div", {}, el("dt", {}, title), el("dd", {}, el("b", {}, shown), el("p", { class: "note" }, el("bdi", {}, how))))));

/** The lift at either end of all plots: enough for the intervals, but an extreme one does not flatten the others. */
function scale(rows) {
  const ends = rows.flatMap((row) => [row.lift_always_low, row.lift_always_high]).filter(Number.isFinite).map(Math.abs);
  const widest = Math.min(1, ends.reduce((a, b) => Math.max(a, b), 0.01));
  return [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1].find((step) => step >= widest);
}

function axis(most) {
  return el("div", { class: "result axis", "aria-hidden": "true" },
    el("span", { class: "ends" }, [-most, 0, most].map((end) => el("span", {}, end ? `${end < 0 ? "−" : "+"}${tick(Math.abs(end))}` : "0"))));
}

/** Intervals around zero; where one does not fit, an arrow says so. The text beside it has the numbers. */
function plot({ lift, lift_always_low: low, lift_always_high: high, lift_low: from, lift_high: to }, most) {
  const at = (n) => `${(50 + 50 * Math.max(-1, Math.min(1, n / most))).toFixed(2)}%`;
  const arrow = (n, y) => Math.abs(n) > most && svg("svg", { x: at(n), y, overflow: "visible" },
    svg("path", { d: n > 0 ? "M-6,-4 L0,0 L-6,4" : "M6,-4 L0,0 L6,4", class: "arrow" }));
  const bar = (a, b, y, kind) => [svg("line", { x1: at(a), x2: at(b), y1: y, y2: y, class: kind }), arrow(a, y), arrow(b, y)];
  return svg("svg", { class: "plot", "aria-hidden": "true", height: 26 },
    svg("line", { x1: "50%", x2: "50%", y1: 0, y2: 26, class: "zero" }),
    bar(low, high, 10, "always"),
    Math.abs(lift) <= most && svg("circle", { cx: at(lift), cy: 10, r: 4 }),
    svg("g", { class: "fixed" }, bar(from, to, 20, "once")));
}

/** The variants' weights and sizes. */
export function variantsCard(id, variants, health) {
  const sizes = new Map(health?.variants.map((one) => [one.variant_id, one]));
  const columns = ["weight", "expected_share", "share", "users", "crossover_users"];
  return card({
    title: "Variants", file: `${id}_variants`,
    columns: [
      { label: "variant", title: "Variant", write: (cell, { of }) => el("span", { class: "variant" },
        swatch(of.color), name(of.label, 28), of.control && el("span", { class: "tag" }, "control")) },
      { label: "weight", title: "Weight", number: true, write: (n) => (Number.isFinite(n) ? String(n) : "–") },
      { label: "expected_share", title: "Planned share", number: true, write: percent },
      { label: "share", title: "Share", number: true, write: percent },
      { label: "users", title: "Users", number: true, write: count },
      { label: "crossover_users", title: "In two variants", number: true, write: count },
    ],
    rows: () => variants.map((variant) => {
      const size = { ...sizes.get(variant.variant_id), weight: variant.weight };
      return Object.assign([variant.variant_id, ...columns.map((key) => size[key] ?? null)], { of: variant });
    }),
    adds: ["users", "crossover_users"],
    note: "Users were exposed on a stored day. Planned share: the weight, divided by the sum of all weights. "
      + "In two variants: users whose events name another variant, left out of all other numbers.",
  });
}
