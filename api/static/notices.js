/** How fresh the numbers are, and what the last runs have to say about it. */

import { el } from "./dom.js";
import { age, list, time } from "./format.js";

// Runs are daily; two hours more are a run that starts late and takes its time.
export const OVERDUE_S = 26 * 3600;

export function freshness(asOf, now) {
  if (!asOf) return ["No successful run yet."];
  return ["Data as of ", el("time", { datetime: asOf }, time(asOf)), ` · ${age(asOf, new Date(now))}`];
}

const jobs = (names) => `${list(names)} job${names.length > 1 ? "s" : ""}`;

/** Jobs whose last success is too long ago, in one sentence per moment. */
export function overdue(ready) {
  const late = (ready?.jobs ?? []).filter((job) => job.age_seconds > OVERDUE_S);
  return [...grouped(late, (job) => job.data_as_of)].map(([asOf, group]) =>
    `The ${jobs(group.map((job) => job.job_name))} ${group.length > 1 ? "are" : "is"} overdue: `
    + `${group.length > 1 ? "they have" : "it has"} not succeeded since ${time(asOf)}. `
    + "What happened after that is missing here.");
}

/** Jobs whose latest finished run failed. @param {Array} runs newest first */
export function failures(runs) {
  const latest = new Map();
  for (const run of runs) {
    if (run.status !== "RUNNING" && !latest.has(run.job_name)) latest.set(run.job_name, run);
  }
  const bad = [...latest.values()].filter((run) => run.status === "FAILED");
  return [...grouped(bad, (run) => run.error_text ?? "")].map(([error, group]) => ({
    text: `The last run of the ${jobs(group.map((run) => run.job_name))} failed on `
      + `${time(group[0].finished_at ?? group[0].started_at)}. `
      + "The numbers are those of the run before it.",
    error,
  }));
}

export function running(all) {
  const now = all.filter((run) => run.status === "RUNNING");
  return now.length ? `The ${jobs(now.map((run) => run.job_name))} ${now.length > 1 ? "are" : "is"} being computed `
    + `since ${time(now[now.length - 1].started_at)}.` : null;
}

export function notices(ready, runs) {
  const going = running(runs);
  return [
    ...failures(runs).map(({ text, error }) => el("div", { class: "notice bad", role: "alert" },
      el("p", {}, text),
      error && el("details", {}, el("summary", {}, "What it said"), el("pre", { tabindex: "0" }, error.slice(0, 4000))))),
    ...overdue(ready).map((text) => el("div", { class: "notice warn" }, el("p", {}, text))),
    going && el("div", { class: "notice" }, el("p", {}, going)),
  ].filter(Boolean);
}

function grouped(items, by) {
  const groups = new Map();
  for (const item of items) groups.set(by(item), [...(groups.get(by(item)) ?? []), item]);
  return groups;
}
