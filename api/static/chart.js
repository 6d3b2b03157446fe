/** Line charts and stacked bars on uPlot. What is not final is drawn dashed and hollow. */

import { el, fill } from "./dom.js";
import { cut, day as writeDay, hoursOf, iso, weekday, toDate } from "./format.js";
import { largest } from "./numbers.js";

const live = new Set();
for (const media of ["(prefers-color-scheme: dark)", "print", "(forced-colors: active)"]) matchMedia(media).addEventListener("change", () => live.forEach((chart) => chart.draw()));

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const color = (nth) => (nth === "control" ? "--control" : nth === "rest" ? "--rest" : `--series-${(nth % 7) + 1}`);

/** Destroys all charts before the next view is drawn. */
export function dispose() {
  for (const chart of live) chart.end();
}

/** Creates a chart once its host has a width, resizes it with the host, and redraws it for a new theme. */
function mount(host, make) {
  let plot = null;
  const draw = () => {
    plot?.destroy();
    plot = host.clientWidth ? make(host.clientWidth, host.clientHeight) : null;
  };
  const watch = new ResizeObserver(() => {
    if (!host.clientWidth) return;
    if (plot) plot.setSize({ width: host.clientWidth, height: host.clientHeight });
    else draw();
  });
  const chart = {
    draw,
    end() {
      watch.disconnect();
      plot?.destroy();
      live.delete(chart);
    },
  };
  live.add(chart);
  watch.observe(host);
}

/**
 * @typedef {{label: string, values: (number|null)[], final: boolean[], color: string,
 *   reasons?: (string|null)[], before?: (number|null)[]}} Series values by day; `color` names a CSS
 *   variable; `before` is drawn as a thin line
 * @param {HTMLElement} host
 * @param {{days: string[], series: Series[], format: Function, tick?: Function,
 *   area?: boolean, zero?: boolean, duration?: boolean}} options `duration`: seconds on a scale for
 *   both seconds and days
 */
export function lineChart(host, { days, series, format, tick = format, area = false, zero = true, duration = false }) {
  const columns = series.flatMap(({ values, final, before }) => [
    values.map((v, i) => (final[i] ? v : null)),
    // The dashes begin at the last final value, so that the line does not break.
    values.map((v, i) => (!final[i] || final[i + 1] === false || final[i - 1] === false ? v : null)),
    ...(before ? [before] : []),
  ]);
  const lines = () => series.flatMap((one) => {
    const stroke = css(one.color);
    const fill = area ? css("--area") : undefined;
    const line = { label: one.label, stroke, width: 1.75, fill };
    const lonely = (i) => one.final[i] && one.values[i] !== null && (one.values[i - 1] ?? null) === null
      && (one.values[i + 1] ?? null) === null;
    const dots = (wanted) => () => days.map((_, i) => i).filter(wanted);
    return [
      { ...line, points: { show: true, size: 5, fill: stroke, filter: dots(lonely) } },
      {
        ...line,
        fill: undefined,
        dash: [4, 4],
        points: {
          show: true, size: 7, width: 1.75, stroke, fill: css("--surface"),
          filter: dots((i) => !one.final[i] && one.values[i] !== null),
        },
      },
      ...(one.before ? [{ label: "before", auto: false, stroke: css("--control"), width: 1, points: { show: false } }] : []),
    ];
  });
  // What was before may leave the picture where it would flatten the rest.
  const before = largest(series.flatMap((one) => one.before ?? []));
  mount(host, (width, height) => plot(host, {
    width, height, days, columns, lines: lines(), tick, duration,
    range: (u, low, high) => span(low, high && Math.max(high, Math.min(before, high * 1.5)), zero),
    rows: (i) => series.flatMap((one) => [{
      color: one.color, label: series.length > 1 ? one.label : "", final: one.final[i],
      text: format(one.values[i]), note: one.final[i] ? null : one.reasons?.[i],
    }, ...(one.before ? [{ color: "--control", label: "weekday before", text: format(one.before[i]) }] : [])]),
  }));
}

/** Bars by day, the series on top of each other; the first one is the lowest. */
export function stackedBars(host, { days, series, format, tick = format }) {
  const heights = days.map(() => 0);
  const stack = series.map((one) => one.values.map((v, i) => (heights[i] += v ?? 0)));
  const order = series.map((_, i) => i).reverse(); // the tallest first; lower ones cover it
  const bars = () => order.flatMap((s) => [true, false].map((final) => ({
    label: series[s].label,
    paths: uPlot.paths.bars({ size: [0.7, 44], gap: 1 }),
    points: { show: false },
    width: 1,
    stroke: css(final ? "--surface" : series[s].color),
    fill: css(final ? series[s].color : "--surface"),
    dash: final ? undefined : [3, 3],
  })));
  const columns = order.flatMap((s) => [true, false].map((final) =>
    stack[s].map((v, i) => (series[s].final[i] === final ? v : null))));
  mount(host, (width, height) => plot(host, {
    width, height, days, columns, lines: bars(), tick, pad: true,
    range: (u, low, high) => span(0, high, true),
    rows: (i) => [...series].reverse().map((one) => ({
      color: one.color, label: one.label, text: format(one.values[i]), final: one.final[i],
      note: one.final[i] ? null : one.reasons?.[i],
    })),
  }));
}

function span(low, high, zero) {
  if (low === null || high === null) return [0, 1];
  if (zero) return [0, high > 0 ? high * 1.08 : 1];
  const room = (high - low || high || 1) * 0.12;
  return [Math.max(0, low - room), high + room];
}

function plot(host, { width, height, days, columns, lines, tick, range, rows, pad = false, duration = false }) {
  const x = days.map((day) => toDate(day).getTime() / 1000);
  const half = pad || days.length === 1 ? 43200 : 0;
  const grid = { stroke: css("--line"), width: 1 };
  const axis = { stroke: css("--muted"), font: `11px ${css("--sans")}`, ticks: { show: false } };
  return new uPlot({
    width, height,
    padding: [8, 22, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false, setScale: false }, points: { show: false } },
    scales: {
      x: { time: false, range: [x[0] - half, x[x.length - 1] + half] },
      y: duration ? { range, distr: 4, asinh: 1 } : { range },
    },
    series: [{}, ...lines],
    axes: [
      {
        ...axis, size: 26, gap: 7, grid: { show: false },
        splits: (u) => everyNth(x, Math.max(1, Math.ceil(x.length / (u.bbox.width / devicePixelRatio / 58)))),
        values: (u, at) => at.map((s) => writeDay(iso(new Date(s * 1000)))),
      },
      {
        ...axis, gap: 4, grid, space: 28,
        size: (u, values) => 12 + 6.4 * Math.max(3, largest((values ?? []).map((v) => v.length))),
        values: (u, at) => at.map((v) => tick(v)),
        ...(duration ? { filter: (u, at) => at, splits: (u, axis, low, high) => spread(DURATIONS.filter((s) => s <= high), u.bbox.height / devicePixelRatio / 22) } : {}),
      },
    ],
    plugins: [readout(days, rows)],
  }, [x, ...columns], host);
}

const DURATIONS = [0, 1, 10, 60, 600, 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400];
const spread = (marks, most) => marks.filter((_, i) => i % Math.ceil(marks.length / most) === 0);

// Counted from the end, so that the latest day has its label.
const everyNth = (x, n) => x.filter((_, i) => (x.length - 1 - i) % n === 0);

/** Shows a day's values at the pointer. The table has them too. */
function readout(days, rows) {
  const box = el("div", { class: "readout", hidden: true });
  return {
    hooks: {
      init: (u) => u.over.append(box),
      setCursor: (u) => {
        const i = u.cursor.idx;
        box.hidden = i === null || i === undefined || u.cursor.left < 0;
        if (box.hidden) return;
        const shown = rows(i);
        const notes = new Set(shown.map((row) => row.note).filter(Boolean));
        fill(box,
          el("b", {}, weekday(days[i])),
          hoursOf(days[i]) !== 24 && el("em", {}, `A day of ${hoursOf(days[i])} hours`),
          shown.map((row) => el("span", { class: "reading" },
            swatch(row.color, row.final), row.label && el("bdi", {}, cut(row.label, 40)), el("b", {}, row.text))),
          [...notes].map((note) => el("em", {}, `Not final: ${note}`)));
        const at = u.valToPos(u.data[0][i], "x");
        const left = at > u.over.clientWidth / 2 ? at - box.offsetWidth - 10 : at + 10;
        box.style.left = `${Math.max(-40, left)}px`;
      },
    },
  };
}

export function swatch(colorName, final = true) {
  return el("i", { class: final === false ? "swatch hollow" : "swatch", "aria-hidden": "true",
    style: { "--swatch": `var(${colorName})` } });
}
