/** The steps of a funnel as bars. The bars' numbers stand beside them as text. */

import { swatch } from "../chart.js";
import { el, name } from "../dom.js";
import { card, legend, partly } from "../figure.js";
import { count, cut, percent, words } from "../format.js";
import { MOST, ends, largest, ratio } from "../numbers.js";
import { code, noneOf } from "../states.js";

const SEED = "seeds/funnel/funnel_steps.csv";

/** The steps that no event of the range has a name of, with the sentence that says so. Without any event, none. */
export function missingSteps(seed, events, rows) {
  const there = new Set(events);
  const taken = new Set(rows.filter((row) => row.users_count).map((row) => row.step_name));
  return new Map(seed.filter((step) => there.size && !taken.has(step.step_name) && !step.event_names.some((one) => there.has(one)))
    .map((step) => [step.step_name, [noneOf(events.length, step.event_names), "; set your own steps in ", code(SEED), "."]]));
}

/** What a funnel's lines over days are about: its steps, or the last one by group. */
export const lastStep = (several, last, steps, one = "variant", which = "the control first, then the largest") => (several
  ? { title: `Reaching “${cut(words(last), 60)}”, day by day`, one, which }
  // The last steps say most about where the funnel ends.
  : { title: "Conversion from the first step, day by day", one: "step", which: "the last ones", skip: Math.max(0, steps.length - 1 - MOST.lines) });

/**
 * @param {{title: string, file: string, steps: string[], groups: Array, find: (step: string, group: Object) => Object,
 *   missing: Map<string, Array>, why: string|null, extra: Array, beside?: Function, note: *}} options `missing` steps
 *   have a sentence in place of numbers; `extra` columns take their value `of` what is found; `beside` writes
 *   something next to a step's name, if there is one group
 */
export function stepsCard({ title, file, steps, groups, find, missing, why, extra, beside, note, one = "variant", which = "the control first, then the largest" }) {
  const row = (i, group) => {
    const found = find(steps[i], group);
    const of = (step) => ratio(found.users_count, find(steps[step], group).users_count);
    return { found, users: found.users_count, before: i ? of(i - 1) : null, first: of(0) };
  };
  const compared = groups.length > 1;
  const drawn = groups.slice(0, MOST.lines);
  const places = ends([...steps.keys()], MOST.steps);
  const cells = places.map((i) => drawn.map((group) => row(i, group)));
  // Groups of different size are each drawn against their own largest step.
  const most = drawn.map((_, g) => Math.max(1, largest(cells.map((step) => step[g].users))));
  const columns = [
    { label: "step", title: "Step", write: (value) => name(words(value)) },
    ...(compared ? [{ label: one, title: words(one), write: (value) => name(value, 24) }] : []),
    { label: "users", title: "Users", number: true, write: count },
    { label: "from_step_before", title: "From the step before", number: true, write: percent },
    { label: "from_first_step", title: "From the first", number: true, write: percent },
    ...extra,
  ];
  const rows = () => steps.flatMap((step, i) => groups.map((group) => {
    const { found, users, before, first } = row(i, group);
    const numbers = [users, before, first, ...extra.map((column) => column.of(found))];
    return [step, ...(compared ? [group.variant ?? group.label] : []), ...numbers.map((n) => (missing.has(step) ? null : n))];
  }));
  // Groups differ in size: shares can be compared, counts cannot.
  const [number, share] = compared ? ["span", "b"] : ["b", "span"];
  const bar = (at, i) => cells[at].map((cell, g) => el("div", { class: "step" },
    el("div", { class: "track", "aria-hidden": "true" },
      el("div", { class: "fill", style: { "--share": cell.users / most[g], "--swatch": `var(${drawn[g].color})` } })),
    compared && el("span", { class: "who" }, swatch(drawn[g].color), name(drawn[g].label, 16)),
    el(number, {}, count(cell.users), said(" users")),
    el("span", {}, i ? [percent(cell.before), said(" of the step before")] : ""),
    el(share, {}, i ? [percent(cell.first), said(" of the first step")] : "")));
  const bars = el("ol", { class: why ? "steps unfinished" : "steps" }, places.map((i, at) => el("li", {},
    el("h4", {}, name(words(steps[i])), !compared && beside && !missing.has(steps[i]) && beside(cells[at][0].found, i)),
    missing.has(steps[i]) ? el("p", { class: "note" }, missing.get(steps[i])) : bar(at, i))));
  const heads = el("div", { class: "step heads", "aria-hidden": "true" }, el("span", { class: "track-head" }),
    compared && el("span", { class: "who" }), ["Users", "From step before", "From first"].map((text) => el("span", {}, text)));
  return card({
    title, file, columns, rows,
    head: compared && legend(drawn),
    picture: el("div", { class: compared ? "compared" : null }, heads, bars),
    note: [
      why && el("span", { class: "pending" }, `Hollow: ${why}. `),
      note,
      compared && ` Each ${one}'s bars are drawn against its own largest step.`,
      partly(drawn.length, groups.length, one, which),
      partly(places.length, steps.length, "step", "the first ones and the last"),
    ],
  });
}

const said = (text) => el("span", { class: "sr" }, text);
