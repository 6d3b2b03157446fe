/** Cohorts as a table: a row each, a column for each day or week since, the darker the more came back. */

import { el, name } from "../dom.js";
import { card } from "../figure.js";
import { addDays, count, day, percent, plural, tick, weekday } from "../format.js";
import { MOST, pooled, sum } from "../numbers.js";
import { code } from "../states.js";

const MOST_COHORTS = 100;

/**
 * @param {{key: string, label: string, cohorts: Map}[]} values one, or one for each value of a dimension
 * @param {string[]} cohorts their first days
 * @param {{title: string, period: string, days: number, most: number, asOf: string}} how
 */
export function triangleCard(values, cohorts, how, command, more) {
  const several = values.length > 1;
  const shown = cohorts.slice(-MOST_COHORTS);
  const all = { ...pooled([...values[0].cohorts.values()], how.most), head: "All, finished" };
  const rows = several
    ? values.slice(0, MOST.rows).map((one) => ({ ...pooled([...one.cohorts.values()], how.most), head: name(one.label, 24) }))
    : [all, ...shown.map((start) => ({ ...values[0].cohorts.get(start), head: how.days > 1 ? `From ${day(start)}` : weekday(start) }))];
  const last = Math.min(how.most, Math.max(1, ...rows.flatMap(({ cells }) => [...cells.keys()])));
  const numbers = Array.from({ length: last }, (_, i) => i + 1);
  // A cell whose period has begun has a row, if its run was made.
  const absent = (start, n) => start && addDays(start, n * how.days) <= how.asOf;
  const missing = several ? 0 : sum(shown.map((start) => [0, ...numbers].filter((n) => !values[0].cohorts.get(start).cells.has(n) && absent(start, n)).length));
  const open = !several && shown.some((start) => [...values[0].cohorts.get(start).cells.values()].some((cell) => cell.is_final === false));
  const table = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table: cohorts" },
    el("table", { class: "triangle" },
      el("caption", { class: "sr" }, several ? "Retention by value" : "Retention by cohort"),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, several ? "Value" : "Cohort"), el("th", { scope: "col", class: "number" }, "Users"),
        numbers.map((n) => el("th", { scope: "col", class: "number" }, el("span", { class: "sr" }, `${how.title} `), n)))),
      el("tbody", {}, rows.map((row) => el("tr", { class: row === all && "pooled" },
        el("th", { scope: "row" }, row.head), size(row.cells.get(0), absent(row.start, 0)), numbers.map((n) => cell(row.cells.get(n), absent(row.start, n))))))));
  return card({
    title: several ? `Retention by ${how.period}, by value` : `Retention by ${how.period}`,
    file: `retention_${how.period}_cohorts_${cohorts[0]}_${cohorts[cohorts.length - 1]}`,
    columns: ["cohort", "dimension_key", how.period, "users", "cohort_size", "retention", "state"].map((label) => ({ label })),
    rows: () => values.flatMap(({ key, cohorts: of }) => [...of.values()].flatMap(({ start, cells }) => [...cells].map(([n, one]) =>
      [start, key, n, one.users_count, one.cohort_size, one.retention, one.is_final === false ? "not final" : "final"]))),
    picture: table, toggled: false,
    note: [
      `${plural(cohorts.length, "cohort")} of users by the ${how.period} of their first event; the columns are the ${how.period}s since. `,
      several ? `Each number is over the cohorts whose ${how.period} is over. ` : "",
      cohorts.length > shown.length && !several && `The table shows the latest ${count(shown.length)}; the CSV has all of them. `,
      values.length > rows.length && several && `${plural(values.length - rows.length, "more value")} in the CSV. `,
      open && el("span", { class: "pending" }, `Dashed: the ${how.period} is not over. `),
      missing > 0 && [`“?”: not computed, ${plural(missing, "cell")}. Run `, code(command), ". "],
      more,
    ],
  });
}

function size(one, wanted) {
  if (!one) return el("td", { class: "number" }, wanted && unknown());
  return el("td", { class: one.is_final === false ? "number open" : "number" }, count(one.users_count), one.is_final === false && said(", not over"));
}

function cell(one, wanted) {
  if (!one) return el("td", { class: "number" }, wanted && unknown());
  const open = one.is_final === false;
  return el("td", {
    class: open ? "number cell open" : "number cell", style: { "--share": one.retention ?? 0 },
    title: `${count(one.users_count)} of ${count(one.cohort_size)} users${one.cohorts ? `, ${plural(one.cohorts, "cohort")}` : ""}${open ? ", not over" : ""}`,
  }, one.retention === null ? unknown() : one.retention < 0.0995 ? percent(one.retention) : tick(Math.round(one.retention * 100) / 100),
  el("small", {}, count(one.users_count)), open && said(", not over"));
}

const said = (text) => el("span", { class: "sr" }, text);
const unknown = () => [el("span", { "aria-hidden": "true" }, "?"), said("not computed")];
