/** A funnel on one day, for everyone or one experiment's variants, and its conversion day by day. */

import * as api from "../api.js";
import { color, lineChart } from "../chart.js";
import { el, name } from "../dom.js";
import { percent, tick, weekday, words } from "../format.js";
import { figure } from "../figure.js";
import { reason, unique } from "../numbers.js";
import { go } from "../state.js";
import { message, noRunYet, nothingInWindow } from "../states.js";
import { label } from "./experiments.js";
import { stepsCard } from "./steps.js";

export async function load(state, options) {
  const [data, catalog] = await Promise.all([
    api.funnels({ window_days: state.window }, options),
    // Names and the control come from the catalog; without it there are ids.
    api.experiments({ window_days: 1 }, options).catch(() => ({ experiments: [] })),
  ]);
  return { ...data, catalog: catalog.experiments };
}

export function draw(data, state, { runs }) {
  if (!data.rows.length) return data.data_as_of || runs.length ? nothingInWindow(state.window) : noRunYet();
  const names = unique(data.rows.map((row) => row.funnel_name));
  const funnel = names.includes(state.funnel) ? state.funnel : names[0];
  const rows = data.rows.filter((row) => row.funnel_name === funnel);
  const tests = unique(rows.map((row) => row.experiment_id).filter(Boolean));
  const test = tests.includes(state.experiment) ? state.experiment : "";
  const days = unique(rows.map((row) => row.day));
  const final = new Set(rows.filter((row) => row.is_final !== false).map((row) => row.day));
  const day = days.includes(state.day) ? state.day : days.filter((one) => final.has(one)).pop() ?? days[days.length - 1];
  const steps = inOrder(rows);
  const groups = grouped(rows, test, data.catalog);
  const find = finder(rows);
  const why = (one) => (final.has(one) ? null : reason(one, 0, data.data_as_of, data.generated_at));
  const gone = state.experiment && !test
    ? el("p", { class: "note" }, "No event of this window carries the experiment ", name(state.experiment), ". All users are shown.") : null;
  return [
    controls(names, funnel, tests, test, days, day, why, data.catalog), gone,
    stepsCard({ title: `${words(funnel)}, ${weekday(day)}`, funnel, day, steps, groups, find, why: why(day) }),
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

function grouped(rows, test, catalog) {
  if (!test) return [{ label: "All users", experiment: null, variant: null, color: color(0) }];
  const known = catalog.find((one) => one.experiment_id === test)?.variants ?? [];
  const control = (id) => known.some((variant) => variant.variant_id === id && variant.is_control);
  let nth = 0;
  return unique(rows.filter((row) => row.experiment_id === test).map((row) => row.variant_id))
    .sort((a, b) => control(b) - control(a) || (a < b ? -1 : 1))
    .map((id) => ({
      label: label(known.find((variant) => variant.variant_id === id) ?? { variant_id: id }),
      experiment: test, variant: id, control: control(id), color: color(control(id) ? "control" : nth++),
    }));
}

function finder(rows) {
  const key = (...parts) => JSON.stringify(parts);
  const all = new Map(rows.map((row) => [key(row.day, row.step_name, row.experiment_id, row.variant_id), row]));
  // A variant has no row at a step that none of its users took.
  return (day, step, group) => all.get(key(day, step, group.experiment, group.variant)) ?? { users_count: 0, events_count: 0 };
}

function controls(names, funnel, tests, test, days, day, why, catalog) {
  const running = new Map(catalog.map((one) => [one.experiment_id, one.status]));
  const choose = (id, text, options, value, change) => el("div", { class: "field" },
    el("label", { for: id }, text),
    el("select", { id, onchange: (event) => go(change(event.target.value)) },
      options.map(([key, shown]) => el("option", { value: key, selected: key === value }, shown))));
  const cut = (text) => (text.length > 60 ? `${text.slice(0, 60)}…` : text);
  return el("div", { class: "controls" },
    names.length > 1 && choose("funnel", "Funnel", names.map((one) => [one, cut(words(one))]), funnel, (value) => ({ funnel: value })),
    choose("compare", "Users", [["", "All users"], ...tests.map((one) =>
      [one, `By variant of ${cut(one)}${running.has(one) ? ` (${running.get(one).toLowerCase()})` : ""}`])], test, (value) => ({ experiment: value })),
    choose("day", "Day", [...days].reverse().map((one) => [one, weekday(one) + (why(one) ? ", not final" : "")]), day, (value) => ({ day: value })));
}

/** Users of several days cannot be added up, so conversion is shown for each day. */
function trend({ funnel, days, steps, groups, find, why, test }) {
  const share = (one, step, group) => {
    const first = find(one, steps[0], group).users_count;
    return first ? find(one, step, group).users_count / first : null;
  };
  const reasons = days.map(why);
  const final = reasons.map((text) => !text);
  const last = steps[steps.length - 1];
  const lines = test
    ? groups.map((group) => ({ label: group.label, color: group.color, control: group.control, value: (one) => share(one, last, group) }))
    : steps.slice(1).map((step, i) => ({ label: words(step), color: color(i), value: (one) => share(one, step, groups[0]) }));
  if (!lines.length) return message("One step only", "A funnel converts from its second step on.");
  const series = lines.map((line) => ({ ...line, values: days.map(line.value), final, reasons }));
  const title = test ? `Reaching “${words(last).slice(0, 60)}”, day by day` : "Conversion from the first step, day by day";
  return figure({
    title, key: lines,
    file: `${funnel}_conversion_${days[0]}_${days[days.length - 1]}`.replace(/[^\w-]+/g, "_"),
    columns: [{ label: "day" }, ...lines.map((line) => ({ label: line.label, title: name(line.label, 24), number: true, write: percent })),
      { label: "state", title: "State" }],
    rows: days.map((one, i) => [one, ...series.map((line) => line.values[i]), reasons[i] ?? "final"]).reverse(),
    note: [`Share of the users of “${words(steps[0]).slice(0, 60)}” of the same day.`,
      reasons.some(Boolean) && el("span", { class: "pending" }, ` Dashed: ${unique(reasons.filter(Boolean)).join("; ")}.`)],
    summary: `${lines.length} lines over ${days.length} days. The button Table shows the numbers.`,
    draw: (host) => lineChart(host, { days, series, format: percent, tick }),
  });
}
