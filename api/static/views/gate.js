/** Without a token: the open summary, and the form for the token. */

import * as api from "../api.js";
import { el, name } from "../dom.js";
import { count, day, percent, seconds } from "../format.js";
import { table } from "../figure.js";
import { title } from "../labels.js";
import { MOST } from "../numbers.js";
import { explained, noRunYet } from "../states.js";

const WRITE = new Map(Object.entries({ logging_rate_24h: percent, ingestion_lag_p50: seconds, ingestion_lag_p95: seconds }));

export const load = (state, options) => api.summary({ window_days: state.window || state.days }, options);

export function draw(data, state, { refused, enter }) {
  const overall = data.metrics.filter((metric) => !metric.dimensions?.experiment_id);
  const variants = data.metrics.filter((metric) => metric.dimensions?.experiment_id);
  return [
    form(refused, enter),
    el("h2", { class: "section" }, "Summary"),
    overall.length ? el("div", { class: "grid tiles" }, overall.slice(0, MOST.cards).map(tile)) : noRunYet(),
    variants.length ? rates(variants) : null,
  ];
}

function form(refused, enter) {
  const input = el("input", { type: "password", id: "token", required: true, autocomplete: "off",
    spellcheck: "false", "aria-describedby": "token-help token-error" });
  const error = el("p", { class: "error", id: "token-error", role: "alert" }, refused);
  const button = el("button", { type: "submit", class: "primary" }, "Show everything");
  const submit = async (event) => {
    event.preventDefault();
    const given = input.value.trim();
    if (!given) return;
    button.disabled = true;
    error.textContent = "";
    try {
      await enter(given);
    } catch (problem) {
      error.textContent = problem.status === 401
        ? "That is not the token. Check it and try again."
        : explained(problem).join(". ");
      input.setAttribute("aria-invalid", "true");
      button.disabled = false;
      input.select();
      input.focus();
    }
  };
  return el("form", { class: "card gate", onsubmit: submit },
    el("div", {},
      el("h2", {}, "Enter the dashboard token"),
      el("p", { id: "token-help" }, "Below is the open summary. The rest needs the token that the server was started with. "
        + "The open tabs of this page share it until you close them or forget it here. It is never part of a link.")),
    el("div", { class: "gate-row" }, el("label", { for: "token" }, "Token"), input, button),
    error);
}

function tile({ metric_name: metric, value, dimensions, is_final: final }) {
  const write = WRITE.get(metric) ?? count;
  const when = dimensions?.day ? day(dimensions.day) : `${dimensions?.window_days} days`;
  return el("section", { class: "card tile" },
    el("h3", {}, name(title(metric), 80)),
    el("p", { class: final === false ? "value unfinished" : "value" }, write(value)),
    el("p", { class: "note" }, when, final === false && " · not final yet"));
}

function rates(metrics) {
  const columns = [
    { label: "Experiment", write: (value) => name(value) },
    { label: "Variant", write: (value) => name(value, 24) },
    { label: title("logging_rate_24h"), number: true, write: percent },
    { label: "Day", write: (value) => day(value) },
    { label: "State" },
  ];
  const rows = metrics.map(({ value, dimensions: of, is_final: final }) =>
    [of.experiment_id, of.variant_id, value, of.day.slice(0, 10), final === false ? "not final yet" : "final"]);
  return el("section", { class: "card" }, el("h3", {}, "Experiments, latest cohort"),
    table("Experiments, latest cohort", columns, rows, { where: "in the API's answer, v1/metrics/summary" }));
}
