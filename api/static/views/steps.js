/** The steps of a funnel on one day as bars. The bars' numbers stand beside them as text. */

import { swatch } from "../chart.js";
import { el, name } from "../dom.js";
import { card, legend, partly } from "../figure.js";
import { count, decimal, percent, words } from "../format.js";
import { MOST, ends, largest } from "../numbers.js";

export function stepsCard({ title, file, day, steps, groups, find, why }) {
  const row = (i, group) => {
    const { users_count: users, events_count: events } = find(day, steps[i], group);
    const of = (step) => ratio(users, find(day, steps[step], group).users_count);
    return { users, events, before: i ? of(i - 1) : null, first: of(0), each: ratio(events, users) };
  };
  const compared = groups.length > 1;
  const drawn = groups.slice(0, MOST.lines);
  const places = ends([...steps.keys()], MOST.steps);
  const cells = places.map((i) => drawn.map((group) => row(i, group)));
  // Variants of different size are each drawn against their own largest step.
  const most = drawn.map((_, g) => Math.max(1, largest(cells.map((step) => step[g].users))));
  const columns = [
    { label: "step", title: "Step", write: (value) => name(words(value)) },
    ...(compared ? [{ label: "variant", title: "Variant", write: (value) => name(value, 24) }] : []),
    { label: "users", title: "Users", number: true, write: count },
    { label: "from_step_before", title: "From the step before", number: true, write: percent },
    { label: "from_first_step", title: "From the first", number: true, write: percent },
    { label: "events", title: "Events", number: true, write: count },
    { label: "events_per_user", title: "Events per user", number: true, write: decimal },
  ];
  const rows = () => steps.flatMap((step, i) => groups.map((group) => {
    const { users, before, first, events, each } = row(i, group);
    return [step, ...(compared ? [group.variant] : []), users, before, first, events, each];
  }));
  // Variants differ in size: shares can be compared, counts cannot.
  const [number, share] = compared ? ["span", "b"] : ["b", "span"];
  const bars = el("ol", { class: why ? "steps unfinished" : "steps" }, places.map((i, at) => el("li", {},
    el("h4", {}, name(words(steps[i]))),
    cells[at].map((cell, g) => el("div", { class: "step" },
      el("div", { class: "track", "aria-hidden": "true" },
        el("div", { class: "fill", style: { "--share": cell.users / most[g], "--swatch": `var(${drawn[g].color})` } })),
      compared && el("span", { class: "who" }, swatch(drawn[g].color), name(drawn[g].label, 16)),
      el(number, {}, count(cell.users), said(" users")),
      el("span", {}, i ? [percent(cell.before), said(" of the step before")] : ""),
      el(share, {}, i ? [percent(cell.first), said(" of the first step")] : ""))))));
  const heads = el("div", { class: "step heads", "aria-hidden": "true" }, el("span", { class: "track-head" }),
    compared && el("span", { class: "who" }), ["Users", "From step before", "From first"].map((text) => el("span", {}, text)));
  return card({
    title, file, columns, rows,
    head: compared && legend(drawn),
    picture: el("div", { class: compared ? "compared" : null }, heads, bars),
    note: [
      why && el("span", { class: "pending" }, `Hollow: ${why}. `),
      "One day's distinct users at each step, counted on its own: a step can be reached without the one before.",
      compared && " Each variant's bars are drawn against its own largest step.",
      partly(drawn.length, groups.length, "variant", "the control first, then the largest"),
      partly(places.length, steps.length, "step", "the first ones and the last"),
    ],
  });
}

const ratio = (part, whole) => (whole ? part / whole : null);
const said = (text) => el("span", { class: "sr" }, text);
