/** What a read-out's numbers mean, in words with the parameters of their metric. No DOM here. */

import { count, date, percent, plural, pValue, points, precise, relative, signed } from "./format.js";
import { quoted, quotedKeyEvent } from "./labels.js";

const LOOKS = "It is right for one look, at an end that was planned.";
export const hours = (n) => (n % 24 || n <= 48 ? plural(n, "hour") : plural(n / 24, "day"));

function events(names) {
  if (!names) return "any event";
  const others = names.split("|").filter((one) => one !== "$key_event");
  return [others.length < names.split("|").length && quotedKeyEvent(), quoted(others)].filter(Boolean).join(" or ");
}

const span = ({ delay_hours: from, window_hours: long }) =>
  (from ? `from ${hours(from)} to ${hours(from + long)} after the exposure` : `in the ${hours(long)} after the exposure`);

/** A metric in one sentence. */
export function meaning(metric) {
  const { measure, event_name: name, denominator_event_name: below, cap } = metric;
  if (measure === "any") return `Share of the exposed users with ${events(name)} ${span(metric)}.`;
  if (measure === "ratio") return `How often ${events(name)} happened, divided by how often ${events(below)} happened, ${span(metric)}.`;
  return `How often ${events(name)} happened per exposed user ${span(metric)}${cap ? `, at most ${count(cap)} times counted` : ""}.`;
}

export const value = (n, { measure }) => (measure === "any" ? percent(n) : precise(n));
export const range = (low, high) => (Number.isFinite(low) ? `${relative(low)} to ${relative(high)}` : "–");

const gap = (n, { measure }) => (measure === "any" ? points(n) : signed(precise)(n));
const given = (n, text) => (Number.isFinite(n) ? text : null);

/** How a column of a read-out is written in the table. */
const WRITE = [
  [/^(control_)?value$/, value],
  [/^difference/, gap],
  [/^(cuped_)?lift/, relative],
  [/^(mde|variance_reduction|chance_to_win)$/, percent],
  [/^p_/, pValue],
  [/users|days$/, count],
  [/_day$/, date],
];

/** A read-out's columns: those that the table shows first. */
export const COLUMNS = [
  "value", "control_value", "lift", "lift_always_low", "lift_always_high", "p_always", "lift_low", "lift_high", "p_value",
  "difference", "difference_low", "difference_high", "cuped_lift", "cuped_lift_low", "cuped_lift_high", "variance_reduction",
  "p_holm", "chance_to_win", "mde", "users", "control_users", "users_to_detect", "first_day", "last_day", "cohort_days",
  "status", "verdict",
].map((label) => ({ label, write: WRITE.find(([pattern]) => pattern.test(label))?.[1] ?? String }));

/**
 * The numbers that a read-out has: what it is called, how it is written, and how it is computed.
 * @param {Object} row a variant's read-out
 * @param {Object} metric
 */
export function numbers(row, metric) {
  const { desired, delay_hours: delay, window_hours: window } = metric;
  const always = `${relative(row.lift)}, always valid ${range(row.lift_always_low, row.lift_always_high)}`;
  const difference = ["difference", "difference_low", "difference_high"].map((key) => gap(row[key], metric));
  return [
    ["Metric", metric.metric_name, "Its name in the API, the tables and the files."],
    ["Value", `${value(row.value, metric)}, control ${value(row.control_value, metric)}`,
      `${meaning(metric)} A user is exposed when the variant is assigned while the experiment runs. `
      + "Users whose events name another variant are left out."],
    ["Users", `${count(row.users)}, control ${count(row.control_users)}`,
      "Exposed users of the days below. A user counts once, in one variant."],
    ["Days", row.cohort_days ? `${date(row.first_day)} to ${date(row.last_day)}, ${plural(row.cohort_days, "day")} with users` : "none yet",
      `The days of exposure whose users all had their ${hours(delay + window)}, whatever number of days is chosen above.`],
    ["Lift", given(row.lift, always),
      "The difference to the control, in percent of the control's value. The always-valid 95% interval holds however often you look "
      + "(asymptotic confidence sequence, tuned for 5,000 users), and for all variants of the metric together. It decides the verdict."],
    ["p, always valid", given(row.p_always, pValue(row.p_always)),
      "The p-value of the lift that holds however often you look. Below 0.05, the always-valid interval excludes zero."],
    ["Lift, fixed interval", given(row.lift, `${relative(row.lift)}, ${range(row.lift_low, row.lift_high)}`),
      `The 95% interval of the lift by Student's t and the delta method. ${LOOKS}`],
    ["Difference", given(row.difference, `${difference[0]}, ${difference[1]} to ${difference[2]}, p\u00a0${equals(row.p_value)}`),
      `The variant's value minus the control's, with the 95% interval and p-value of Welch's t-test. ${LOOKS}`],
    ["p, corrected", given(row.p_holm, pValue(row.p_holm)),
      "The p-value of the difference, corrected by Holm's method for all goal metrics and variants of the experiment."],
    ["Lift, adjusted", given(row.cuped_lift, `${relative(row.cuped_lift)}, ${range(row.cuped_lift_low, row.cuped_lift_high)}`),
      `The lift without what the same measure over the 14 days before the exposure predicts (CUPED), with its fixed 95% interval. ${LOOKS}`],
    ["Variance removed", given(row.variance_reduction, percent(row.variance_reduction)),
      "How much of the lift's variance this adjustment removes."],
    ["Chance to win", given(row.chance_to_win, percent(row.chance_to_win)),
      `How likely the variant ${desired === "decrease" ? "lowers" : "raises"} the metric, if every effect was equally likely before. ${LOOKS}`],
    ["Smallest detectable lift", given(row.mde, percent(row.mde)),
      "The lift that this many users detect in 80% of experiments, with one look at the end."],
    ["Users to go", given(row.users_to_detect, count(row.users_to_detect)),
      "How many more users such a look needs to detect a lift of 10%. The always-valid interval needs about twice as many in all."],
  ].filter(([, shown]) => shown);
}

/** "= 0.03", "< 1e-15": in one piece. */
export const equals = (p) => (p < 1e-15 ? pValue(p) : `= ${pValue(p)}`).replaceAll(" ", "\u00a0").replaceAll("-", "\u2011");
