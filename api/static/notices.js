/** How fresh the numbers are, and what the last runs and the link have to say. */

import { el, name } from "./dom.js";
import { age, cut, list, time, words } from "./format.js";
import { WINDOWS } from "./state.js";

// Runs are daily; two hours more are a run that starts late and takes its time.
export const OVERDUE_S = 26 * 3600;
const STALE_TAB_MS = 3600 * 1000;

/**
 * @param {string|null} asOf the moment that the numbers are computed for
 * @param {Date} now by the server's clock
 * @param {Date} loaded when the page asked, by the same clock
 */
export function freshness(asOf, now, loaded) {
  if (!asOf) return ["No successful run yet."];
  const old = (now - new Date(asOf)) / 1000 > OVERDUE_S;
  return [
    "Data as of ", el("time", { datetime: asOf }, time(asOf)), " · ",
    old ? el("b", { class: "old" }, `${age(asOf, now)}, out of date`) : age(asOf, now),
    now - loaded > STALE_TAB_MS && ` · Loaded ${age(loaded, now)}: press Refresh for newer numbers.`,
  ];
}

const jobs = (names) => `${list(names.map((one) => cut(one, 40)))} job${names.length > 1 ? "s" : ""}`;

/** Jobs whose last success is too long ago, in one sentence per moment. */
export function overdue(ready) {
  const late = (ready?.jobs ?? []).filter((job) => job.age_seconds > OVERDUE_S);
  return [...grouped(late, (job) => job.data_as_of)].map(([asOf, group]) =>
    `The ${jobs(group.map((job) => job.job_name))} ${group.length > 1 ? "are" : "is"} overdue: `
    + `${group.length > 1 ? "they have" : "it has"} not succeeded since ${time(asOf)}. `
    + "What happened after that is missing here.");
}

/** What a failed run means for the numbers on the page: a test may fail after the rows are in place. */
function outcome({ rows_written: rows }) {
  if (rows > 0) {
    return "It failed after it wrote its rows: the numbers are those of this run, newer than the moment of “Data as of”. "
      + "Read what it said before you rely on them.";
  }
  if (rows === 0) return "It wrote no rows: the numbers are those of the last run that did.";
  return "It is not known whether it wrote its rows.";
}

/** Jobs whose latest finished run failed. @param {Array} runs newest first */
export function failures(runs) {
  const latest = new Map();
  for (const run of runs) {
    if (run.status !== "RUNNING" && !latest.has(run.job_name)) latest.set(run.job_name, run);
  }
  const bad = [...latest.values()].filter((run) => run.status === "FAILED");
  return [...grouped(bad, (run) => JSON.stringify([run.error_text, outcome(run)])).values()].map((group) => ({
    text: `The last run of the ${jobs(group.map((run) => run.job_name))} failed on `
      + `${time(group[0].finished_at ?? group[0].started_at)}. ${outcome(group[0])}`,
    error: group[0].error_text,
  }));
}

export function running(all) {
  const now = all.filter((run) => run.status === "RUNNING");
  return now.length ? `The ${jobs(now.map((run) => run.job_name))} ${now.length > 1 ? "are" : "is"} being computed `
    + `since ${time(now[now.length - 1].started_at)}.` : null;
}

/** What the link asks for and the page does not have, each with what it shows instead. */
export function unknown(state) {
  return state.unknown.slice(0, 5).map(([key, value]) => {
    if (key === "view") return ["There is no view ", name(value), `. Shown: ${words(state.view)}.`];
    if (key === "window") {
      return ["The page has windows of ", list(WINDOWS.map(String)), " days, not of ", name(value || "none"), `. Shown: ${state.window} days.`];
    }
    return ["The page knows nothing called ", name(key), " in a link, and left it out."];
  });
}

export function notice(kind, ...content) {
  return el("div", { class: `notice ${kind}`, role: kind === "bad" && "alert" }, content);
}

/** @param {Array} unmet sentences on what the link asks for and does not get */
export function notices(ready, runs, unmet) {
  const going = running(runs);
  return [
    unmet.map((text) => notice("warn link", el("p", {}, text))),
    failures(runs).map(({ text, error }) => notice("bad", el("p", {}, text), error && said("What it said", error))),
    overdue(ready).map((text) => notice("warn", el("p", {}, text))),
    going && notice("", el("p", {}, going)),
  ];
}

/** An error's text, folded away. */
export function said(title, error) {
  return el("details", {}, el("summary", {}, title), el("pre", { tabindex: "0" }, cut(error, 4000)));
}

function grouped(items, by) {
  const groups = new Map();
  for (const item of items) groups.set(by(item), [...(groups.get(by(item)) ?? []), item]);
  return groups;
}
