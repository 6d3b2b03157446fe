/** The steps of a funnel on one day as bars. The bars' numbers stand beside them as text. */

import { swatch } from "../chart.js";
import { el, name } from "../dom.js";
import { csvButton, legend, table } from "../figure.js";
import { count, percent, words } from "../format.js";

export function stepsCard({ title, funnel, day, steps, groups, find, why }) {
  const cells = steps.map((step, i) => groups.map((group) => {
    const at = (which) => find(day, steps[which], group).users_count;
    const row = find(day, step, group);
    return {
      users: row.users_count, events: row.events_count,
      before: i ? ratio(row.users_count, at(i - 1)) : null,
      first: ratio(row.users_count, at(0)),
    };
  }));
  const most = groups.map((_, g) => Math.max(1, ...cells.map((step) => step[g].users)));
  const widest = Math.max(...most);
  const compared = groups.length > 1;
  // Side by side, variants of unlike size are held against their own first step.
  const width = (cell, g) => (compared ? cell.users / most[g] : cell.users / widest);
  const columns = [
    { label: "step", title: "Step", write: (value) => name(words(value)) },
    ...(compared ? [{ label: "variant", title: "Variant", write: (value) => name(value, 24) }] : []),
    { label: "users", title: "Users", number: true, write: count },
    { label: "from_step_before", title: "From the step before", number: true, write: share },
    { label: "from_first_step", title: "From the first", number: true, write: share },
    { label: "events", title: "Events", number: true, write: count },
  ];
  const rows = steps.flatMap((step, i) => cells[i].map((cell, g) =>
    [step, ...(compared ? [groups[g].variant ?? ""] : []), cell.users, cell.before, cell.first, cell.events]));
  const bars = el("ol", { class: why ? "steps unfinished" : "steps" }, steps.map((step, i) => el("li", {},
    el("h4", {}, name(words(step))),
    cells[i].map((cell, g) => el("div", { class: "step" },
      el("div", { class: "track", "aria-hidden": "true" },
        el("div", { class: "fill", style: { "--share": width(cell, g), "--swatch": `var(${groups[g].color})` } })),
      compared && el("span", { class: "who" }, swatch(groups[g].color), name(groups[g].label, 16)),
      el("b", {}, count(cell.users), said(" users")),
      el("span", {}, i ? [share(cell.before), said(" of the step before")] : ""),
      el("span", {}, i ? [share(cell.first), said(" of the first step")] : ""))))));
  const heads = el("div", { class: "step heads", "aria-hidden": "true" }, el("span", { class: "track-head" }),
    compared && el("span", { class: "who" }), ["Users", "From step before", "From first"].map((text) => el("span", {}, text)));
  const numbers = el("div", { hidden: true });
  const toggle = el("button", {
    type: "button", class: "quiet", "aria-pressed": "false", "aria-label": `Table: ${title}`,
    onclick: () => {
      const open = numbers.hidden;
      toggle.setAttribute("aria-pressed", open);
      numbers.hidden = !open;
      bars.parentNode.hidden = open;
      if (!numbers.firstChild) numbers.append(table(title, columns, rows));
    },
  }, "Table");
  return el("section", { class: "card figure", "aria-labelledby": "steps" },
    el("div", { class: "figure-head" }, el("h3", { id: "steps" }, name(title, 80)),
      el("div", { class: "figure-tools" }, toggle, csvButton(title, `${funnel}_${day}`.replace(/[^\w-]+/g, "_"), columns, rows))),
    compared && legend(groups),
    el("div", { class: "steps-box" }, heads, bars), numbers,
    el("p", { class: "note" },
      why && el("span", { class: "pending" }, `Hollow: ${why}. `),
      "One day's distinct users at each step, counted on its own: a step can be reached without the one before. ",
      compared && "Each variant's bars are drawn against its own largest step."));
}

const ratio = (part, whole) => (whole ? part / whole : null);
const said = (text) => el("span", { class: "sr" }, text);
const share = (value) => (value === null ? "–" : percent(value));
