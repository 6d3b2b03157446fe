/** What an experiment's read-outs say, in one sentence, and whether they can be trusted. */

import { equals, range } from "../definitions.js";
import { el, name } from "../dom.js";
import { count, date, list, percent, plural, precise, pValue, relative, tick } from "../format.js";
import { metricTitle } from "../labels.js";
import { MOST, sum } from "../numbers.js";

// As in the models: before these, a verdict waits.
const DAYS = 7;
const CONVERSIONS = 150;
const NO_TEST = {
  no_control: "there is no single control to compare with",
  too_few: "a variant has fewer than 30 users whose time is up",
  zero_control: "the control's value is zero",
  zero_denominator: "the denominator is zero in a variant",
  zero_variance: "the users of a variant do not differ",
};
const ROLES = ["goal", "guardrail", "secondary"];

/** All read-outs of an experiment, the goals first. */
export const results = (readout) => readout.metrics
  .flatMap((metric) => metric.variants.map((row) => ({ ...row, metric })))
  .sort((a, b) => ROLES.indexOf(a.metric.role) - ROLES.indexOf(b.metric.role));

/**
 * @param {Object} one the experiment
 * @param {Array} rows its read-outs, the goals first
 * @param {Object} health
 * @param {(id: string) => Node} called writes a variant's name
 */
export function verdictCard(one, rows, health, called) {
  const [kind, sentence, told] = headline(one, rows, health, called);
  const always = told.some((row) => Number.isFinite(row.lift));
  return el("section", { class: `card verdict ${kind}`, "aria-label": "Verdict" },
    el("p", { class: "sentence" }, sentence),
    told.length > 0 && rows.length > told.length && also(rows.filter((row) => !told.includes(row)), kind, called),
    el("p", { class: "note" }, covered(rows, health), always && " Intervals are always valid at 95%: they hold if you look every day."),
    el("details", {}, el("summary", {}, "How is this decided?"),
      el("p", { class: "note" }, "The lift, the difference in percent of the control, has its always-valid interval in brackets, and this decides. If it excludes "
        + "zero, a variant is better or worse, in the direction that the metric should move. The sentence begins with what matters most: a failed check, then a "
        + "goal or guardrail that got worse, a goal that got better, one that must wait, one without a difference. "
        + `A metric waits until it has ${DAYS} days whose users all had their time and, if it is a share, ${CONVERSIONS} conversions in the better variant. `
        + "“About so many users” is what one look at the end needs to detect a lift of 10%.")));
}

/** Which read-outs lead, and what they say: the kind of verdict, the sentence, the rows it is about. */
function headline(one, rows, health, called) {
  const find = (verdict, role) => rows.filter((row) => row.verdict === verdict && row.metric.role === role);
  const stopped = { ENDED: "Ended", PAUSED: "Paused" }[one.status];
  const ended = stopped && `${stopped}. `;
  if (rows.some((row) => row.verdict === "blocked")) {
    return ["bad", ["Do not decide: ", list(failures(health)), ". Find out why first."], []];
  }
  if (rows.every((row) => row.status === "no_control")) {
    const controls = one.variants.filter((variant) => variant.is_control).length;
    return ["wait", `No verdict: ${controls ? count(controls) : "no"} variants are marked as the control. Mark one.`, []];
  }
  const largest = (found) => found.reduce((a, b) => (Math.abs(b.lift) > Math.abs(a.lift) ? b : a), found[0]);
  const leading = ["goal", "secondary", "guardrail"].find((role) => rows.some((row) => row.metric.role === role));
  const worse = find("worse", leading)[0] ?? find("worse", "guardrail")[0];
  const better = largest(find("better", leading));
  const compared = (row, is) => [called(row.variant_id), ` is ${is} than `, called(row.control_variant_id), " on ", metricName(row), ": ", interval(row)];
  if (worse) {
    return ["bad", [ended, compared(worse, "worse"), better && [", but ", compared(better, "better")], "."], [worse, better].filter(Boolean)];
  }
  if (better) return ["good", [ended, compared(better, "better"), "."], [better]];
  const [waits] = find("wait", leading);
  if (waits) return ["wait", [stopped ? `${stopped} too early to tell on ` : "Keep waiting for ", metricName(waits), ": ", list(missing(waits)), "."], [waits]];
  const [row] = find("no_difference_yet", leading);
  return ["", [ended, "No clear difference ", !stopped && "yet ", "between ", called(row.variant_id), " and ", called(row.control_variant_id), " on ",
    metricName(row), ": ", interval(row), row.users_to_detect > 0 && `, with ${needed(row)}`, "."], [row]];
}

export const metricName = (row) => name(metricTitle(row.metric), 60);
const interval = (row) => el("span", { class: "interval" }, el("b", {}, relative(row.lift)), ` (${range(row.lift_always_low, row.lift_always_high)})`);
const about = (n) => count(n < 100 ? n : +n.toPrecision(2));

function needed(row) {
  const users = row.users + row.control_users;
  return row.users_to_detect > 0 ? `${count(users)} of about ${about(users + row.users_to_detect)} users` : plural(users, "user");
}

/** Why a read-out must wait. */
function missing(row) {
  const conversions = Math.round(Math.max(row.value * row.users, row.control_value * row.control_users));
  return [
    row.cohort_days < DAYS && `${row.cohort_days} of ${DAYS} days`,
    row.status !== "ok" ? NO_TEST[row.status] ?? String(row.status) : needed(row),
    row.status === "ok" && row.metric.measure === "any" && conversions < CONVERSIONS && `${conversions} of ${CONVERSIONS} conversions`,
  ].filter(Boolean);
}

/** The other verdicts: those that are clear by name, the rest counted. */
function also(rows, kind, called) {
  const clear = rows.filter((row) => row.verdict === "better" || row.verdict === "worse");
  const counted = [["no_difference_yet", "without a clear difference"], ["wait", "too early to tell"]]
    .map(([verdict, text]) => [rows.filter((row) => row.verdict === verdict).length, text]).filter(([n]) => n)
    .map(([n, text]) => `${count(n)} ${text}`);
  const safe = kind === "good" && rows.some((row) => row.metric.role === "guardrail") && " No guardrail got worse so far.";
  return el("p", {},
    clear.slice(0, MOST.lines).map((row) =>
      [called(row.variant_id), ` is ${row.verdict} on `, metricName(row), " (", row.metric.role, "): ", interval(row), ". "]),
    clear.length > MOST.lines && `${plural(clear.length - MOST.lines, "more clear result")} below. `,
    counted.length > 0 && `Other comparisons: ${list(counted)}.`, safe);
}

function covered(rows, health) {
  const days = rows.filter((row) => row.cohort_days);
  const ends = (key) => days.map((row) => row[key]).sort();
  return [days.length ? `Users exposed from ${date(ends("first_day")[0])} to ${date(ends("last_day").pop())}, whatever number of days is chosen above.`
    : "No day of exposure is complete yet.", !health.is_complete && " Some days are missing, see “Days”."];
}

/** The checks that forbid a verdict, as clauses. */
function failures(health) {
  return [
    health?.srm === "mismatch" && `users are ${split(health) ?? "not split as planned"} (p\u00a0${equals(health.srm_p)})`,
    health?.crossover === "alarm" && `${percent(health.crossover_share)} of the users were in more than one variant`,
    health?.pre_difference === "alarm" && `the variants differed before the exposure (p\u00a0${equals(health.pre_difference_p)})`,
  ].filter(Boolean);
}

/** "split 52.7 : 47.3, planned was 50 : 50", of few variants. */
function split({ variants }) {
  const weighted = variants.filter((variant) => variant.weight > 0);
  const ratio = (key) => weighted.map((variant) => tick(variant[key] ?? 0).slice(0, -1)).join("\u00a0:\u00a0");
  return weighted.length <= 4 ? `split ${ratio("share")}, planned was ${ratio("expected_share")}` : null;
}

const STATES = { ok: ["ok", "passed"], warn: ["", "look closer"], mismatch: ["failed", "failed"], alarm: ["failed", "failed"], too_few: ["", "too few users"] };

/** The checks: the split, the crossovers, the time before, the days. */
export function healthCard(health, rows) {
  const check = (title, state, text, how) => el("li", { class: "check" },
    el("div", {}, el("h4", {}, title), el("span", { class: `status ${state[0]}` }, state[1])),
    el("p", {}, text),
    el("details", {}, el("summary", {}, "How is this computed?", el("span", { class: "sr" }, ` ${title}`)), el("p", { class: "note" }, how)));
  const state = (value) => STATES[value] ?? ["", String(value)];
  const exposed = sum(health.variants.map((variant) => variant.users + variant.crossover_users));
  const missing = health.complete_from ? `days are missing, the first is ${date(health.complete_from)}` : "days are missing";
  const days = `Stored from ${date(health.covers_from)}; ${health.is_complete ? "no day with an exposure is missing" : missing}.`;
  return el("section", { class: "card health", "aria-label": "Can it be trusted?" },
    el("h3", {}, "Can it be trusted?"),
    el("ul", { class: "checks" },
      check("Split of the users", Number.isFinite(health.srm_p) ? state(health.srm) : ["", "no data"],
        health.srm === "too_few" || health.srm_p === null ? `${plural(health.users, "user")} so far.`
          : `Users are ${split(health) ?? "in many variants, see below"}, p\u00a0${equals(health.srm_p)}.`,
        `A χ² test (χ² ${precise(health.srm_chi2)}, ${plural(health.srm_df ?? 0, "degree")} of freedom) compares the users of the variants with their weights. `
        + "It fails below p = 0.001 if a share is off by 0.1 points or more: users are then lost or sent elsewhere, and what is left cannot be compared. "
        + "Below p = 0.01 look closer."),
      check("Users in two variants", state(health.crossover),
        `${count(health.crossover_users)} of ${plural(exposed, "exposed user")}, ${percent(health.crossover_share ?? 0)}.`,
        "Users whose events name another variant of this experiment after their exposure. They are left out everywhere. "
        + "From 0.1% look closer; 1% and 10 users fail the check, because the rest is then a selection."),
      check("Alike before the exposure", health.pre_difference_p === null ? ["", "no data"] : state(health.pre_difference),
        health.pre_difference_p === null ? "There is nothing to compare: too few users, or none had events before."
          : `The smallest p is ${pValue(health.pre_difference_p)}.`,
        "Welch's t-test on the same metrics over the 14 days before each user's exposure, for goals and guardrails. It fails below 0.001, "
        + "divided by the number of comparisons: the variants then differed before they could have an effect."),
      check("Days", health.is_complete ? ["ok", "complete"] : ["", "incomplete"], days,
        "The first day of exposure whose users are stored, and whether there is a gap until today. Days that are stored stay when the source is purged. "
        + `A day counts once the time of its last user is up: the latest that counts is ${latest(rows)}.`)),
    (health.notes ?? []).map((text) => el("p", { class: "note" }, ticked(text))));
}

const latest = (rows) => date(rows.map((row) => row.last_day).filter(Boolean).sort().pop());

/** A sentence with commands in backticks. */
export const ticked = (text) => text.split("`").map((part, i) => (i % 2 ? el("code", {}, part) : part));
