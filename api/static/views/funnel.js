/** A funnel on one day, for everyone or one experiment's variants, and its conversion day by day. */

import * as api from "../api.js";
import { color, lineChart } from "../chart.js";
import { el, name } from "../dom.js";
import { cut, list, percent, plural, tick, weekday, words } from "../format.js";
import { figure, partly, pending } from "../figure.js";
import { MOST, first, reason, unique } from "../numbers.js";
import { go } from "../state.js";
import { message, noRunYet, nothingInWindow } from "../states.js";
import { colored } from "./experiments.js";
import { stepsCard } from "./steps.js";

export async function load(state, options) {
  const [data, catalog] = await Promise.all([
    api.funnels({ window_days: state.window }, options),
    // Names and the control come from the catalog; without it there are ids.
    api.experiments({ window_days: 1 }, options).catch(() => ({ experiments: [] })),
  ]);
  return { ...data, catalog: new Map(catalog.experiments.map((one) => [one.experiment_id, one])) };
}

export function draw(data, state, { runs, unmet }) {
  if (!data.rows.length) return data.data_as_of || runs.length ? nothingInWindow(state.window) : noRunYet();
  const names = unique(data.rows.map((row) => row.funnel_name));
  const funnel = names.includes(state.funnel) ? state.funnel : names[0];
  const rows = data.rows.filter((row) => row.funnel_name === funnel);
  const tests = unique(rows.map((row) => row.experiment_id).filter(Boolean));
  const test = tests.includes(state.experiment) ? state.experiment : "";
  const days = unique(rows.map((row) => row.day));
  const final = new Set(rows.filter((row) => row.is_final !== false).map((row) => row.day));
  const day = days.includes(state.day) ? state.day : days.filter((one) => final.has(one)).pop() ?? days[days.length - 1];
  if (state.funnel && funnel !== state.funnel) unmet("There is no funnel ", name(state.funnel), ". Shown: ", name(words(funnel)), ".");
  if (state.experiment && !test) unmet("No event of this window carries the experiment ", name(state.experiment), ". Shown: all users.");
  if (state.day && day !== state.day) unmet("The day ", name(state.day), ` is not in these ${state.window} days. Shown: ${weekday(day)}.`);
  const steps = inOrder(rows);
  const find = finder(rows);
  const groups = grouped(rows, test, data.catalog.get(test)?.variants ?? [], (id) => find(day, steps[0], { experiment: test, variant: id }).users_count);
  const why = (one) => (final.has(one) ? null : reason(one, 0, data.data_as_of, data.generated_at));
  return [
    controls(names, funnel, tests, test, days, day, why, data.catalog),
    stepsCard({ title: `${words(funnel)}, ${weekday(day)}`, file: `${funnel}_${day}`, day, steps, groups, find, why: why(day) }),
    trend({ funnel, days, steps, groups, find, why, test }),
  ];
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

/** The variants with events, control first, then by id, or by size where they are too many to be drawn. */
function grouped(rows, test, variants, size) {
  if (!test) return [{ label: "All users", experiment: null, variant: null, color: color(0) }];
  const known = new Map(variants.map((variant) => [variant.variant_id, variant]));
  const ids = unique(rows.filter((row) => row.experiment_id === test).map((row) => row.variant_id));
  const sizes = new Map(ids.map((id) => [id, ids.length > MOST.lines ? size(id) : 0]));
  const isControl = (id) => known.get(id)?.is_control === true;
  ids.sort((a, b) => isControl(b) - isControl(a) || sizes.get(b) - sizes.get(a) || (a < b ? -1 : 1));
  return colored(ids.map((id) => known.get(id) ?? { variant_id: id }))
    .map((variant) => ({ ...variant, experiment: test, variant: variant.variant_id }));
}

function finder(rows) {
  const key = (...parts) => JSON.stringify(parts);
  const all = new Map(rows.map((row) => [key(row.day, row.step_name, row.experiment_id, row.variant_id), row]));
  // A variant has no row at a step that none of its users took.
  return (day, step, group) => all.get(key(day, step, group.experiment, group.variant)) ?? { users_count: 0, events_count: 0 };
}

function controls(names, funnel, tests, test, days, day, why, catalog) {
  const choose = (id, text, options, value, change) => el("div", { class: "field" },
    el("label", { for: id }, text),
    el("select", { id, onchange: (event) => go(change(event.target.value)) },
      options.map(([key, shown]) => el("option", { value: key, selected: key === value }, shown))));
  const status = (one) => (catalog.get(one)?.status ? ` (${catalog.get(one).status.toLowerCase()})` : "");
  const [funnels, listed] = [first(names, MOST.choices, funnel), first(tests, MOST.choices, test)];
  const unlisted = [[names, funnels, "funnel"], [tests, listed, "experiment"]].filter(([all, shown]) => all.length > shown.length)
    .map(([all, shown, one]) => plural(all.length - shown.length, one));
  return el("div", { class: "controls" },
    names.length > 1 && choose("funnel", "Funnel", funnels.map((one) => [one, cut(words(one), 60)]), funnel, (value) => ({ funnel: value })),
    choose("compare", "Users", [["", "All users"], ...listed.map((one) =>
      [one, `By variant of ${cut(one, 60)}${status(one)}`])], test, (value) => ({ experiment: value })),
    choose("day", "Day", [...days].reverse().map((one) => [one, weekday(one) + (why(one) ? ", not final" : "")]), day, (value) => ({ day: value })),
    unlisted.length > 0 && el("p", { class: "note" }, `Not in these lists: ${list(unlisted)}. `
      + "Choose an experiment under Experiments, or write its name into the address, as in “experiment=exp_1” or “funnel=signup”."));
}

/** Users of several days cannot be added up, so conversion is shown for each day. */
function trend({ funnel, days, steps, groups, find, why, test }) {
  const share = (one, step, group) => {
    const start = find(one, steps[0], group).users_count;
    return start ? find(one, step, group).users_count / start : null;
  };
  const reasons = days.map(why);
  const final = reasons.map((text) => !text);
  const last = steps[steps.length - 1];
  // The last steps say most about where the funnel ends.
  const skipped = test ? 0 : Math.max(0, steps.length - MOST.lines);
  const lines = test
    ? groups.map((group) => ({ ...group, value: (one) => share(one, last, group) }))
    : steps.slice(1).map((step, i) => ({ label: words(step), color: color(i), value: (one) => share(one, step, groups[0]) }));
  if (!lines.length) return message("One step only", "A funnel converts from its second step on.");
  const drawn = lines.slice(skipped, skipped + MOST.lines);
  const series = drawn.map((line) => ({ ...line, values: days.map(line.value), final, reasons }));
  return figure({
    title: test ? `Reaching “${cut(words(last), 60)}”, day by day` : "Conversion from the first step, day by day",
    key: drawn,
    file: `${funnel}_conversion_${days[0]}_${days[days.length - 1]}`,
    columns: [{ label: "day" }, ...lines.map((line) => ({ label: line.label, title: name(line.label, 24), number: true, write: percent })),
      { label: "state", title: "State" }],
    rows: () => days.map((one, i) => [one, ...lines.map((line) => line.value(one)), reasons[i] ?? "final"]).reverse(),
    note: [`Share of the users of “${cut(words(steps[0]), 60)}” of the same day.`,
      partly(drawn.length, lines.length, test ? "variant" : "step", test ? "the control first, then the largest" : "the last ones"),
      pending(reasons, "Dashed")],
    summary: `${plural(drawn.length, "line")} over ${days.length} days.`,
    draw: (host) => lineChart(host, { days, series, format: percent, tick }),
  });
}
