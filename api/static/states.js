/** Messages in place of numbers. */

import { ApiError } from "./api.js";
import { el } from "./dom.js";
import { cut } from "./format.js";
import { go } from "./state.js";

const code = (text) => el("code", {}, text);

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

export function nothingInWindow(days) {
  return message(`Nothing in these ${days} days`,
    "Runs have been made, but none of them wrote a day of this window. Choose a longer one, or see under Ingestion when the last run was.",
    days < 90 && el("button", { type: "button", onclick: () => go({ window: 90 }) }, "Show 90 days"));
}

export function noExperiments() {
  return message("No experiments yet",
    "An experiment shows here once its row is in the app's experiments table and the experiment job has run.");
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
