/** A funnel on one day, for everyone or one experiment's variants, and its conversion day by day. */

import * as api from "../api.js";
import { color } from "../chart.js";
import { name } from "../dom.js";
import { dayLines } from "../figure.js";
import { count, cut, decimal, percent, tick, weekday, words } from "../format.js";
import { MOST, ratio, reason, unique } from "../numbers.js";
import { range } from "../state.js";
import { message } from "../states.js";
import { colored } from "./experiments.js";
import { choose } from "./filter.js";
import { lastStep, missingSteps, stepsCard } from "./steps.js";

export const load = (state, options) => api.funnels(range(state), options);

export function draw(data, state, { funnel, test, steps: seed, unmet }) {
  const { rows } = data;
  const days = unique(rows.map((row) => row.day));
  const final = new Set(rows.filter((row) => row.is_final !== false).map((row) => row.day));
  const day = days.includes(state.day) ? state.day : days.filter((one) => final.has(one)).pop() ?? days[days.length - 1];
  if (state.day && day !== state.day) unmet("The day ", name(state.day), ` is not in these ${state.days} days. Shown: ${weekday(day)}.`);
  const steps = inOrder(rows);
  const find = finder(rows);
  const groups = grouped(rows, test, data.catalog.get(test)?.variants ?? [], (id) => find(day, steps[0], { experiment: test, variant: id }).users_count);
  const why = (one) => (final.has(one) ? null : reason(one, 0, data.data_as_of, data.generated_at));
  const missing = missingSteps(seed, data.events, rows);
  return {
    choices: choose("day", "Day", [...days].reverse().map((one) => [one, weekday(one) + (why(one) ? ", not final" : "")]), day, (value) => ({ day: value })),
    cards: [
      stepsCard({
        title: `${words(funnel)}, ${weekday(day)}`, file: `${funnel}_${day}`, steps, groups, missing, why: why(day),
        find: (step, group) => find(day, step, group),
        extra: [{ label: "events", title: "Events", number: true, write: count, of: ({ events_count: n }) => n },
          { label: "events_per_user", title: "Events per user", number: true, write: decimal, of: ({ events_count: n, users_count: users }) => ratio(n, users) }],
        note: "One day's distinct users at each step, counted on its own: a step can be reached without the one before.",
      }),
      trend({ funnel, days, steps, groups, find, why, test, missing }),
    ],
  };
}

/** The order of the steps comes with the rows; without it, the fewer users the later. */
function inOrder(rows) {
  const of = new Map();
  for (const row of rows) {
    const before = of.get(row.step_name) ?? { step: row.step ?? Infinity, users: 0 };
    of.set(row.step_name, { ...before, users: before.users + (row.experiment_id ? 0 : row.users_count) });
  }
  const by = ([a, one], [b, two]) => (one.step === two.step ? two.users - one.users || (a < b ? -1 : 1) : one.step - two.step);
  return [...of].sort(by).map(([step]) => step);
}

/** The variants with events. */
function grouped(rows, test, variants, size) {
  if (!test) return [{ label: "All users", experiment: null, variant: null, color: color(0) }];
  const ids = unique(rows.filter((row) => row.experiment_id === test).map((row) => row.variant_id));
  return sorted(ids, variants, size).map((variant) => ({ ...variant, experiment: test, variant: variant.variant_id }));
}

/** The control first, then by id, or by size where they are too many to be drawn. */
export function sorted(ids, variants, size) {
  const known = new Map(variants.map((variant) => [variant.variant_id, variant]));
  const sizes = new Map(ids.map((id) => [id, ids.length > MOST.lines ? size(id) : 0]));
  const isControl = (id) => known.get(id)?.is_control === true;
  ids.sort((a, b) => isControl(b) - isControl(a) || sizes.get(b) - sizes.get(a) || (a < b ? -1 : 1));
  return colored(ids.map((id) => known.get(id) ?? { variant_id: id }));
}

function finder(rows) {
  const key = (...parts) => JSON.stringify(parts);
  const all = new Map(rows.map((row) => [key(row.day, row.step_name, row.experiment_id, row.variant_id), row]));
  // A variant has no row at a step that none of its users took.
  return (day, step, group) => all.get(key(day, step, group.experiment, group.variant)) ?? { users_count: 0, events_count: 0 };
}

/** Users of several days cannot be added up, so conversion is shown for each day. */
function trend({ funnel, days, steps, groups, find, why, test, missing }) {
  const share = (step, group) => (one) => ratio(find(one, step, group).users_count, find(one, steps[0], group).users_count);
  const last = steps.filter((step) => !missing.has(step)).pop();
  if (!last) return null;
  if (steps.length < 2) return message("One step only", "A funnel converts from its second step on.");
  return dayLines({
    ...lastStep(test, last, steps),
    file: `${funnel}_conversion`, days, reasons: days.map(why), write: percent, tick,
    lines: test ? groups.map((group) => ({ ...group, value: share(last, group) }))
      : steps.flatMap((step, i) => (i && !missing.has(step) ? { label: words(step), color: color(i - 1), value: share(step, groups[0]) } : [])),
    note: `Share of the users of “${cut(words(steps[0]), 60)}” of the same day.`,
  });
}
