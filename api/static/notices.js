/** How fresh the numbers are, and notices about the last runs and the link. */

import { el, name } from "./dom.js";
import { age, cut, hour, list, time, words, zone } from "./format.js";
import { groupBy } from "./numbers.js";
import { MOST_DAYS, WINDOWS } from "./state.js";

// Runs are daily, and may start late or be slow: two hours more.
const OVERDUE_S = 26 * 3600;
const STALE_TAB_MS = 3600 * 1000;

/**
 * @param {string|null} asOf the moment that the numbers are computed for
 * @param {Date} now by the server's clock
 * @param {Date} loaded when the page asked, by the same clock
 * @param {string} [failure] why newer numbers could not be loaded
 */
export function freshness(asOf, now, loaded, failure) {
  if (!asOf) return ["No run has computed this view yet."];
  const old = (now - new Date(asOf)) / 1000 > OVERDUE_S;
  return [
    "Data as of ", el("time", { datetime: asOf }, time(asOf)), " · ",
    old ? el("b", { class: "old" }, `${age(asOf, now)}, out of date`) : age(asOf, now),
    failure && [" · ", el("b", { class: "old" }, `Not refreshed since ${hour(loaded)}: ${failure}`)],
    !failure && now - loaded > STALE_TAB_MS && ` · Loaded ${age(loaded, now)}: press Refresh for newer numbers.`,
  ];
}

const jobs = (names) => `${list(names.map((one) => cut(one, 40)))} job${names.length > 1 ? "s" : ""}`;

/** Jobs whose last success is too long ago, in one sentence per moment. @param {Array} runs newest first */
export function overdue(ready, runs) {
  const late = (ready?.jobs ?? []).filter((job) => job.age_seconds > OVERDUE_S);
  const last = runs[0]?.started_at;
  const stopped = late.length && last && secondsBetween(last, ready.generated_at) > OVERDUE_S;
  const texts = [...groupBy(late, (job) => job.data_as_of)].map(([asOf, group]) =>
    `The ${jobs(group.map((job) => job.job_name))} ${group.length > 1 ? "are" : "is"} overdue: `
    + `${group.length > 1 ? "they have" : "it has"} not succeeded since ${time(asOf)}. `
    + "What happened after that is missing here.");
  return stopped ? [...texts, `No run has started since ${time(last)}. See whether the schedule is still on: GitHub turns `
    + "schedules off after 60 days without activity in a public repository, and in forks."] : texts;
}

const secondsBetween = (from, to) => (new Date(to) - new Date(from)) / 1000;

/** The latest run of each job that the API knows; the log may have jobs of other systems. @param {Array} runs newest first */
function latest(runs, ready) {
  const known = ready?.jobs.map((job) => job.job_name);
  const of = new Map();
  for (const run of runs) if (!of.has(run.job_name) && (known?.includes(run.job_name) ?? true)) of.set(run.job_name, run);
  return [...of.values()];
}

/**
 * What a failed run means for the numbers on the page. Tests may fail after the rows were written. A
 * killed run logs no rows; if it wrote some, they are newer than its start.
 */
function outcome(run, ready) {
  const { computed_at: computed } = ready?.jobs.find((job) => job.job_name === run.job_name) ?? {};
  if (run.rows_written > 0 || (computed && computed >= run.started_at)) {
    return "It failed after it wrote its rows: the numbers are those of this run, newer than the moment of “Data as of”. "
      + "Read what it said before you rely on them.";
  }
  // The API has the time of writing only for the latest day.
  const reported = run.dbt_invocation_id || run.window_end > ready?.generated_at;
  if (run.rows_written === 0 && reported) return "It wrote no rows: the numbers are those of the last run that did.";
  return "It is not known whether it wrote its rows.";
}

/** Jobs whose latest finished run failed. @param {Array} runs newest first */
export function failures(runs, ready) {
  const bad = latest(runs.filter((run) => run.status !== "RUNNING"), ready).filter((run) => run.status === "FAILED");
  return [...groupBy(bad, (run) => JSON.stringify([run.error_text, outcome(run, ready)])).values()].map((group) => ({
    text: `The last run of the ${jobs(group.map((run) => run.job_name))} failed on `
      + `${time(group[0].finished_at ?? group[0].started_at)}. ${outcome(group[0], ready)}`,
    error: group[0].error_text,
  }));
}

/** Jobs that are running. A run that another one followed is dead, and an old one most likely. */
export function running(runs, ready) {
  const all = latest(runs, ready).filter((run) => run.status === "RUNNING");
  const dead = (run) => secondsBetween(run.started_at, ready?.generated_at) > OVERDUE_S;
  return [...groupBy(all, dead)].map(([isDead, group]) => {
    const [named, since] = [jobs(group.map((run) => run.job_name)), time(group[group.length - 1].started_at)];
    return isDead ? `The ${named} began on ${since} and logged no end. Most likely the run was killed; the next one finds out.`
      : `The ${named} ${group.length > 1 ? "are" : "is"} being computed since ${since}.`;
  });
}

/** What the link asks for and the page does not have, and what it shows instead. */
export function unknown(state) {
  return state.unknown.slice(0, 5).map(([key, value]) => {
    if (key === "view") return ["There is no view ", name(value), `. Shown: ${words(state.view)}.`];
    if (key === "window") {
      return ["The page has windows of ", list(WINDOWS.map(String)), " days, not of ", name(value || "none"), `. Shown: ${state.window} days.`];
    }
    if (key === "range") return ["The days ", name(value), ` of the link are not a range of 1 to ${MOST_DAYS} days. Shown: ${state.days} days.`];
    if (key === "both") return ["The link gives a window and the days ", name(value), ". Shown: those days."];
    if (key === "dimension") return [name(value), " is not a dimension. Shown: all users."];
    if (key === "mode" || key === "period") return [`There is no ${key} `, name(value), "."];
    if (key === "day") return [`${words(state.view)} shows all of its days, not only `, name(value), "."];
    if (key === "twice") return ["The link gives ", name(value), " more than once. Shown: the last one."];
    return ["The page knows nothing called ", name(key), " in a link, and left it out."];
  });
}

export function notice(kind, ...content) {
  return el("div", { class: `notice ${kind}`, role: kind === "bad" && "alert" }, content);
}

/** @param {Array} unmet sentences on what the link asks for and does not get */
export function notices(ready, runs, unmet) {
  return [
    !zone.known && notice("warn", el("p", {}, "This browser does not know the zone of the days, ", name(zone.name),
      ": times are in UTC, and “today” may be a day off. A newer browser knows it.")),
    unmet.map((text) => notice("warn link", el("p", {}, text))),
    failures(runs, ready).map(({ text, error }) => notice("bad", el("p", {}, text), error && said("What it said", error))),
    overdue(ready, runs).map((text) => notice("warn", el("p", {}, text))),
    running(runs, ready).map((text) => notice("", el("p", {}, text))),
  ];
}

/** An error's text, folded away. */
export function said(title, error) {
  return el("details", {}, el("summary", {}, title), el("pre", { tabindex: "0" }, cut(error, 4000)));
}
