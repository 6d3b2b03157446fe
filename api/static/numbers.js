/** The arithmetic behind the views. No DOM here. */

import { day as writeDay, dayIn, hour, matures } from "./format.js";

export const sum = (values) => values.reduce((total, value) => total + value, 0);
export const largest = (values) => values.reduce((a, b) => Math.max(a, b), 0);
export const mean = (values) => (values.length ? sum(values) / values.length : NaN);

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  if (!sorted.length) return NaN;
  return half % 1 ? sorted[Math.floor(half)] : (sorted[half - 1] + sorted[half]) / 2;
}

/** The mean of rates, each weighted by its number of users. */
export function weighted(values, weights) {
  const total = sum(weights);
  return total ? sum(values.map((value, i) => value * weights[i])) / total : NaN;
}

/** Whether a value is final. `flag` is one answer for the row, or a map by metric. */
export function isFinal(flag, metric) {
  if (typeof flag === "object" && flag) return flag[metric] !== false;
  return flag !== false;
}

/**
 * Why a value is not final yet.
 * @param {number} horizon days of 24 hours after the day's end until its cohort has matured
 */
export function reason(day, horizon, asOf, now) {
  const end = matures(day, horizon);
  if (end <= new Date(now)) return "the next run completes it";
  if (day >= dayIn(now)) return asOf && dayIn(asOf) === day ? `today, counted until ${hour(asOf)}` : "today";
  return `cohort matures on ${writeDay(dayIn(end))}`;
}

/** Events by name over all days, the most frequent first, and by day over all names. */
export function eventTotals(days) {
  const totals = new Map();
  const byDay = days.map(({ metrics }) => {
    const volumes = Object.entries(metrics.event_volume_by_name ?? {});
    for (const [name, n] of volumes) totals.set(name, (totals.get(name) ?? 0) + n);
    return sum(volumes.map(([, n]) => n));
  });
  return { byName: [...totals].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)), byDay };
}

/** Limits of what the page draws. The CSV files have everything. */
export const MOST = { rows: 300, columns: 12, lines: 8, choices: 100, steps: 50, cards: 24, results: 48 };

/** The first `most` of a list, always with the chosen one. */
export function first(list, most, chosen) {
  const shown = list.slice(0, most);
  if (list.length > most && list.includes(chosen) && !shown.includes(chosen)) shown[most - 1] = chosen;
  return shown;
}

/** A long list without its middle. */
export const ends = (list, most) => (list.length > most ? [...list.slice(0, most - 1), list[list.length - 1]] : list);

/** How far back a range is compared: whole weeks, so that each day meets the same weekday. */
export const weeksBack = (days) => Math.ceil(days / 7) * 7;
export const ratio = (part, whole) => (whole ? part / whole : null);

export function groupBy(items, by) {
  const groups = new Map();
  for (const item of items) groups.has(by(item)) ? groups.get(by(item)).push(item) : groups.set(by(item), [item]);
  return groups;
}

/**
 * Cohorts as one: of each number of periods, those whose cell is final and whose size is known.
 * @param {{cells: Map<number, Object>}[]} cohorts
 */
export function pooled(cohorts, most) {
  const cells = new Map();
  for (let n = 0; n <= most; n++) {
    const known = cohorts.map((one) => one.cells.get(n)).filter((cell) => cell && cell.is_final !== false && cell.cohort_size > 0);
    const [users, size] = ["users_count", "cohort_size"].map((key) => sum(known.map((cell) => cell[key])));
    if (known.length) cells.set(n, { users_count: users, cohort_size: size, retention: users / size, cohorts: known.length });
  }
  return { cells };
}

export const unique = (values) => [...new Set(values)];
