/** The latest runs: what they wrote, what they left out, and what went wrong. */

import { el, name } from "../dom.js";
import { csvButton, table } from "../figure.js";
import { addDays, count, day, seconds, stamp } from "../format.js";

const STATUS = { SUCCESS: ["ok", "succeeded"], FAILED: ["failed", "failed"], RUNNING: ["running", "running"] };

export function runsCard(runs) {
  const title = "Latest runs";
  const columns = [
    { label: "started_at", title: "Started, UTC", write: stamp },
    { label: "job", title: "Job", write: (value) => name(value, 20) },
    { label: "status", title: "Status", write: status },
    { label: "seconds", title: "Took", number: true, write: (value) => seconds(value ?? NaN) },
    { label: "window", title: "Window", write: (value, row) => span(row.run, day, " – ") },
    { label: "rows_written", title: "Rows", number: true, write: (value) => count(value ?? NaN) },
    { label: "ignored_count", title: "Ignored", number: true, write: (value, row) => ignored(value, row.run) },
  ];
  const rows = runs.map((run) => Object.assign([
    run.started_at, run.job_name, run.status,
    run.finished_at ? (new Date(run.finished_at) - new Date(run.started_at)) / 1000 : null,
    span(run), run.rows_written, run.ignored_count,
  ], { run }));
  const file = [...columns, { label: "error_text" }];
  return el("section", { class: "card figure", "aria-labelledby": "runs" },
    el("div", { class: "figure-head" }, el("h3", { id: "runs" }, title),
      el("div", { class: "figure-tools" }, csvButton(title, "runs", file, rows.map((row) => [...row, row.run.error_text])))),
    table(title, columns, rows),
    el("p", { class: "note" }, "Ignored: events of the window that are too old, in the future or without a time. They count nowhere."));
}

const span = ({ window_start: from, window_end: to }, write = (one) => one, between = " to ") =>
  (from && to ? `${write(from.slice(0, 10))}${between}${write(addDays(to, -1))}` : "");

function status(value, { run }) {
  const [kind, text] = STATUS[value] ?? ["", String(value)];
  const said = el("span", { class: `status ${kind}` }, text);
  if (!run.error_text) return said;
  return el("div", {}, said, el("details", {}, el("summary", {}, "Why"), el("pre", { tabindex: "0" }, run.error_text.slice(0, 4000))));
}

function ignored(value, { ignored_by_rule: rules }) {
  const split = Object.entries(rules ?? {}).filter(([, n]) => n > 0);
  if (!split.length) return count(value ?? NaN);
  return el("div", {}, count(value), el("small", {}, split.map(([rule, n]) => `${count(n)} ${rule.replaceAll("_", " ")}`).join(", ")));
}
