/** Messages in place of numbers. */

import { ApiError } from "./api.js";
import { el, name } from "./dom.js";
import { count, cut } from "./format.js";
import { MOST_DAYS, go } from "./state.js";

export const code = (text) => el("code", {}, text);

export function message(title, text, ...actions) {
  return el("div", { class: "card message" },
    el("h2", {}, title),
    el("p", {}, text),
    actions.length ? el("div", { class: "message-actions" }, actions) : null);
}

export function noRunYet() {
  return message("No run yet", [
    "The tables behind this page do not exist or are empty. They are filled by ",
    code("python cli.py"), ", or with a made-up app by ", code("python cli.py demo"),
    ". Refresh this page when it has finished.",
  ]);
}

/** The command that computes these days. */
export const command = (job, { from, to, days }) =>
  code(`python cli.py${job && ` --job ${job}`} ${from ? `--from ${from} --to ${to}` : `--window-days ${days}`}`);

export function nothingInWindow(state) {
  return message(`Nothing in these ${state.days} days`,
    ["Runs have been made, but none of them wrote a day of this range. ", command("", state),
      " computes them. Or choose a longer range, or see under Ingestion when the last run was."],
    state.days < MOST_DAYS && el("button", { type: "button", onclick: () => go({ window: MOST_DAYS }) }, `Show ${MOST_DAYS} days`));
}

/** No row of a job's table in the range: what to run, or what the API said. */
export function notComputed(what, run, error) {
  return message("Not computed yet", error ? [`${what}: `, explained(error).join(": ")]
    : [`${what}: no row is stored for these days. Run `, run, ", then refresh this page."]);
}

/** That no event of the app has one of the names that a step or a metric counts. @param {number} all names in the range */
export const noneOf = (all, wanted) => [
  `None of your ${count(all)} event names is `,
  wanted.slice(0, 4).map((one, i) => [i ? " or " : "", el("code", {}, name(one, 40))]),
  wanted.length > 4 && ` or one of ${count(wanted.length - 4)} others`,
];

export function noExperiments() {
  return message("No experiments yet",
    "An experiment shows here once its row is in the app's experiments table and the experiment job has run. "
      + "Without experiments there is nothing to do: the other views do not need any.");
}

/** An experiment without a read-out: why, and what makes one. */
export function noReadout({ status, variants }, health) {
  if (status === "DRAFT") return message("Not started", "A draft has no numbers. They begin with the run after it is started.");
  const run = code(`python cli.py --job experiment --from ${health?.complete_from ?? "DAY"}`);
  return variants.length < 2
    ? message("Nothing to compare", ["A verdict compares variants with a control. Add them to the app's table ",
      code("experiment_variants"), ". Then run ", run, ", with the first day of the experiment."])
    : message("No verdict yet", ["No run has computed this experiment. Run ", run, ", with the first day of the experiment."]);
}

/** What went wrong, and where: in the network, in the API or in this page. */
export function explained(error) {
  if (!(error instanceof ApiError)) {
    return ["This page failed", `It could not show the answer (${cut(String(error), 200)}). `
      + "Reload the page. If that does not help, report this; the API still has the numbers."];
  }
  const title = error.status === 0 || error.status >= 500 ? error.title || "The API failed" : "The API refused this";
  return [title, error.message || "It gave no reason."];
}

export function failed(error, retry) {
  const node = message(...explained(error),
    el("button", { type: "button", class: "primary", onclick: retry }, "Try again"));
  node.setAttribute("role", "alert");
  return node;
}
