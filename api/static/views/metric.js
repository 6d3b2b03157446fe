/** A metric's card: its total, the same weekdays before, and a line for all users or for each value. */

import { color, lineChart, swatch } from "../chart.js";
import { el, name } from "../dom.js";
import { figure, partly } from "../figure.js";
import { addDays, compact, count, day, plural, points, relative, seconds } from "../format.js";
import { MOST, reason } from "../numbers.js";

/**
 * @typedef {{label: string, points: Map<string, {value: number|null, size?: number, final: boolean}>}} Line
 *   by day, also of the days before the range; `size` weights a rate
 * @param {{title: string, file: string, total: Function, per: string, good: number}} how `latest` if the
 *   total is that of the last day
 * @param {Line[]} lines
 * @param {{days: string[], shift: number, asOf: string, now: string, tag?: string}} common
 */
export function metricCard(how, lines, { days, shift, asOf, now, tag }) {
  const write = how.write ?? count;
  const tick = how.tick ?? (write === count ? compact : write);
  const drawn = lines.slice(0, MOST.lines).map((line, i) => ({ ...line, color: color(line.rest ? "rest" : i) }));
  const at = (line, one) => line.points.get(one)?.value ?? null;
  const final = days.map((one) => lines.every(({ points: of }) => of.get(one)?.final !== false));
  const reasons = days.map((one, i) => (final[i] ? null : reason(one, how.horizon ?? 0, asOf, now)));
  const earlier = (line) => days.map((one) => at(line, addDays(one, -shift)));
  const series = drawn.map((line) => ({ label: line.label, color: line.color, final, reasons,
    values: days.map((one) => at(line, one)), before: lines.length === 1 ? earlier(line) : null }));
  const [only] = lines.length === 1 ? series : [];
  const pending = only ? days.map((_, i) => i).filter((i) => !final[i] && only.values[i] !== null) : [];
  const soFar = pending.slice(-MOST.lines).map((i) => el("span", { class: "so-far" }, swatch(color(0), false),
    `${day(days[i])}: ${write(only.values[i])} (${reasons[i]})`));
  const sums = lines.map((line) => ({ ...line, ...totals(how, line, days.filter((_, i) => final[i]), shift) }));
  const per = how.latest ? `on ${day(sums[0].last)}` : how.per;
  return figure({
    title: how.title,
    file: `${how.file}_${days[0]}_${days[days.length - 1]}`,
    columns: [{ label: "day" },
      ...lines.map((line) => ({ label: only ? how.file : line.label, title: only ? how.title : name(line.label, 24), number: true, write })),
      ...(only ? [{ label: "weekday_before", title: "Weekday before", number: true, write }] : []),
      { label: "state", title: "State" }],
    rows: () => days.map((one, i) => [one, ...lines.map((line) => at(line, one)), ...(only ? [only.before[i]] : []), reasons[i] ?? "final"]).reverse(),
    head: only ? [
      el("p", { class: "headline" }, el("b", { class: "value" }, write(sums[0].value)), " ", el("span", {}, per), tag && el("span", { class: "tag" }, tag)),
      change(how, sums[0], write, days, shift),
    ] : [el("p", { class: "headline" }, per), el("ul", { class: "values" }, drawn.map((line, i) => el("li", {},
      swatch(line.color), name(line.label, 28), el("b", {}, write(sums[i].value)), moved(how, sums[i]))))],
    note: [how.note, soFar, pending.length > soFar.length && " Earlier days that are not final are in the table.",
      !only && [reasons.some(Boolean) && "Dashed: not final. ", how.adds === false && "Values overlap: a user may have several. ",
        partly(drawn.length, lines.length, "value", "those with most users")]],
    summary: only ? `${days.length} days, ${write(sums[0].value)} ${per}.` : `${plural(drawn.length, "line")} over ${days.length} days.`,
    draw: (host) => lineChart(host, { days, series, format: write, tick, area: Boolean(only) }),
  });
}

/** The total over final days, and that of the same weekdays before, or why there is none. */
function totals(how, { points: of }, days, shift) {
  const known = days.filter((one) => (of.get(one)?.value ?? null) !== null);
  const counted = how.latest ? known.slice(-1) : known;
  const total = (some) => how.total(some.map((point) => point.value), some.map((point) => point.size ?? 0));
  const value = counted.length ? total(counted.map((one) => of.get(one))) : NaN;
  const before = counted.map((one) => of.get(addDays(one, -shift)));
  const last = counted[counted.length - 1];
  if (!counted.length) return { value, last, why: "no day is final yet" };
  if (before.some((point) => (point?.value ?? null) === null)) return { value, last, why: "the same weekdays before are not all there" };
  const was = total(before);
  const difference = how.inPoints ? value - was : (value - was) / was;
  return { value, last, was, difference, why: Number.isFinite(difference) ? null : "there was nothing before" };
}

function moved(how, { difference, why }) {
  if (why) return null;
  const flat = Math.abs(difference) < 0.0005;
  const mood = flat || !how.good ? "" : Math.sign(difference) === how.good ? "good" : "bad";
  return el("b", { class: mood }, el("span", { "aria-hidden": "true" }, flat ? "" : difference > 0 ? "▲ " : "▼ "),
    flat ? "no change" : (how.inPoints ? points : relative)(difference));
}

function change(how, sums, write, days, shift) {
  if (sums.why) return el("p", { class: "change" }, `No comparison: ${sums.why}`);
  return el("p", { class: "change" }, moved(how, sums), ` from ${write(sums.was)}, the same weekdays ${plural(shift / 7, "week")} before`);
}
