/** The latest runs: rows written, events ignored and errors. */

import { el, name } from "../dom.js";
import { card } from "../figure.js";
import { count, day, firstDay, lastDay, seconds, stamp } from "../format.js";
import { said } from "../notices.js";

const STATUS = { SUCCESS: ["ok", "succeeded"], FAILED: ["failed", "failed"], RUNNING: ["running", "running"] };

export function runsCard(runs) {
  const columns = [
    { label: "started_at", title: "Started", write: stamp },
    { label: "job", title: "Job", write: (value) => name(value, 20) },
    { label: "status", title: "Status", write: status },
    { label: "seconds", title: "Took", number: true, write: seconds },
    { label: "window", title: "Window", write: (value, row) => span(row.run, day, " – ") },
    { label: "rows_written", title: "Rows", number: true, write: count },
    { label: "ignored_count", title: "Ignored", number: true, write: (value, row) => ignored(value, row.run) },
  ];
  const rows = () => runs.map((run) => Object.assign([
    run.started_at, run.job_name, run.status,
    run.finished_at ? (new Date(run.finished_at) - new Date(run.started_at)) / 1000 : null,
    span(run), run.rows_written, run.ignored_count,
  ], { run }));
  return card({
    title: "Latest runs", file: "runs", columns, rows,
    csv: { columns: [...columns, { label: "error_text" }], rows: () => rows().map((row) => [...row, row.run.error_text]) },
    note: ["Ignored: events of the window that are too old, in the future or without a time. They count nowhere. ",
      "Older runs: ", el("code", {}, "python cli.py runs"), "."],
  });
}

const span = ({ window_start: from, window_end: to }, write = (one) => one, between = " to ") =>
  (from && to ? `${write(firstDay(from))}${between}${write(lastDay(to))}` : "");

function status(value, { run }) {
  const [kind, text] = STATUS[value] ?? ["", String(value)];
  const node = el("span", { class: `status ${kind}` }, text);
  return run.error_text ? el("div", {}, node, said("Why", run.error_text)) : node;
}

function ignored(value, { ignored_by_rule: rules }) {
  const split = Object.entries(rules ?? {}).filter(([, n]) => n > 0).slice(0, 8);
  if (!split.length) return count(value);
  return el("div", {}, count(value), el("small", {}, split.map(([rule, n]) => `${count(n)} ${rule.replaceAll("_", " ")}`).join(", ")));
}
