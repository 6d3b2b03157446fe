/** The funnel: in order within days, or the users of one day at each step. */

import * as api from "../api.js";
import { parse } from "../dimension.js";
import { el, name } from "../dom.js";
import { cut, list, plural, words } from "../format.js";
import { MOST, first, groupBy, unique } from "../numbers.js";
import { range } from "../state.js";
import { command, noRunYet, notComputed, nothingInWindow } from "../states.js";
import * as filter from "./filter.js";
import * as inOrder from "./conversions.js";
import * as sameDay from "./sameday.js";

const shown = ({ mode }) => (mode === "same-day" ? sameDay : inOrder);

export async function load(state, options) {
  const [data, catalog, names, keys, { steps }] = await Promise.all([
    shown(state).load(state, options),
    // Names and the control come from the catalog; without it there are ids.
    api.optional(api.experiments({ window_days: 1 }, options)),
    api.optional(api.daily(range(state), options)),
    filter.keys(state, options),
    shown(state) === inOrder ? {} : api.optional(api.conversions({ window_days: 1, dimension: "overall" }, options)),
  ]);
  const events = unique(names.days.flatMap((row) => Object.keys(row.metrics.event_volume_by_name ?? {})));
  return { steps, ...data, keys, events, catalog: new Map(catalog.experiments.map((one) => [one.experiment_id, one])) };
}

export function draw(data, state, { runs, unmet }) {
  const isInOrder = shown(state) === inOrder;
  const nothing = !data.rows.length && !(isInOrder && state.dimension && !state.experiment);
  if (nothing && !data.data_as_of && !runs.length) return noRunYet();
  const of = groupBy(data.steps, (step) => step.funnel_name);
  const names = unique([...isInOrder ? of.keys() : [], ...data.rows.map((row) => row.funnel_name)]);
  const funnel = names.includes(state.funnel) ? state.funnel : names[0];
  if (names.length && state.funnel && funnel !== state.funnel) unmet("There is no funnel ", name(state.funnel), ". Shown: ", name(words(funnel)), ".");
  const rows = data.rows.filter((row) => row.funnel_name === funnel);
  const tests = unique([...rows.map(experimentOf).filter(Boolean)].concat(isInOrder ? [...data.catalog.keys()] : []));
  const test = rows.some((row) => experimentOf(row) === state.experiment) ? state.experiment : "";
  if (state.experiment && !test && rows.length) {
    unmet("No event of these days carries the experiment ", name(state.experiment), ". Shown: all users.");
  }
  const parts = rows.length ? shown(state).draw({ ...data, rows }, state, { funnel, test, steps: of.get(funnel) ?? [], unmet }) : null;
  return [
    isInOrder ? filter.bar(data.keys, state, state.experiment ? { off: ["the variants of an experiment"] } : { on: ["everything below"] })
      : state.dimension && filter.bar(data.keys, state, { off: ["the steps of the same day"] }),
    controls(names, funnel, tests, test, state, data.catalog, parts?.choices),
    nothing ? isInOrder ? notComputed("Funnels in order", command("funnel", state)) : nothingInWindow(state)
      : rows.length ? parts.cards : filter.noMatch(state.dimension, command("funnel", state)),
  ];
}

const experimentOf = (row) => (row.dimension_key === undefined ? row.experiment_id : parse(row.dimension_key).experiment);

function controls(names, funnel, tests, test, state, catalog, choices) {
  const status = (one) => (catalog.get(one)?.status ? ` (${catalog.get(one).status.toLowerCase()})` : "");
  const [funnels, listed] = [first(names, MOST.choices, funnel), first(tests, MOST.choices, test)];
  const unlisted = [[names, funnels, "funnel"], [tests, listed, "experiment"]].filter(([all, some]) => all.length > some.length)
    .map(([all, some, one]) => plural(all.length - some.length, one));
  return el("div", { class: "controls" },
    names.length > 1 && filter.choose("funnel", "Funnel", funnels.map((one) => [one, cut(words(one), 60)]), funnel, (value) => ({ funnel: value })),
    filter.choose("mode", "Steps", [["in-order", "In order, within days"], ["same-day", "Same day, in any order"]], state.mode || "in-order",
      (mode) => ({ mode, day: "" })),
    (tests.length > 0 || test) && filter.choose("compare", "Users", [["", "All users"], ...listed.map((one) =>
      [one, `By variant of ${cut(one, 60)}${status(one)}`])], test, (value) => ({ experiment: value })),
    choices,
    unlisted.length > 0 && el("p", { class: "note" }, `Not in these lists: ${list(unlisted)}. `
      + "Choose an experiment under Experiments, or write its name into the address, as in “experiment=exp_1” or “funnel=signup”."));
}
