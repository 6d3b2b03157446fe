/** Cards: a title, a picture or a table, and a CSV file. */

import { lineChart, swatch } from "./chart.js";
import { download } from "./csv.js";
import { el, name } from "./dom.js";
import { count, cut, plural, words } from "./format.js";
import { MOST, sum, unique } from "./numbers.js";

let nth = 0;

/**
 * A card. With a picture, its table is behind a button; without one, the table is what it shows.
 * @typedef {{label: string, title?: string|Node, write?: (value: *, row: Array<*>) => string|Node, number?: boolean}} Column
 * @param {{title: string, file: string, columns: Column[], rows: () => Array<Array<*>>,
 *   csv?: {columns: Column[], rows: () => Array<Array<*>>}, picture?: HTMLElement, head?: Node[],
 *   note?: *, size?: string, adds?: string[], toggled?: boolean}} options without `toggled`, the
 *   picture is its own table; `csv` when the file has more than the table;
 *   `adds` names the columns that the table's last row adds up over all rows that it leaves out
 */
export function card({ title, file, columns, rows, csv = { columns, rows }, picture, head, note, size = "", adds, toggled = true }) {
  const id = `card-${++nth}`;
  const short = cut(title, 80);
  const draw = () => table(short, columns, rows(), { adds });
  const numbers = picture ? el("div", { class: `numbers ${size}`, hidden: true }) : draw();
  const toggle = picture && toggled && el("button", {
    type: "button", class: "quiet", "aria-pressed": "false", "aria-label": `Table: ${short}`,
    onclick: () => {
      const open = numbers.hidden;
      toggle.setAttribute("aria-pressed", open);
      numbers.hidden = !open;
      picture.hidden = open;
      if (open && !numbers.firstChild) numbers.append(draw());
    },
  }, "Table");
  const save = el("button", {
    type: "button", class: "quiet", "aria-label": `CSV: ${short}`,
    onclick: () => download(file, csv.columns.map((column) => column.label), csv.rows()),
  }, "CSV");
  return el("section", { class: "card figure", "aria-labelledby": id },
    el("div", { class: "figure-head" },
      el("h3", { id }, name(title, 80)),
      el("div", { class: "figure-tools" }, toggle, save)),
    head, picture, numbers,
    note && el("p", { class: "note" }, note));
}

/** A card with a chart. @param {{summary: string, draw: (host: HTMLElement) => void, key?: Array}} options */
export function figure({ key, summary, draw, head = [], size = "", ...options }) {
  const host = el("div", { class: `chart ${size}`, role: "img",
    "aria-label": `${cut(options.title, 80)}. ${summary} The button Table shows the numbers.` });
  draw(host);
  return card({ ...options, size, picture: host, head: [head, key && legend(key)] });
}

/**
 * A card with lines by day. @param {{days: string[], reasons: (string|null)[],
 *   lines: {label: string, color: string, value: (day: string) => number|null}[]}} options the first lines are drawn
 */
export function dayLines({ days, lines, reasons, skip = 0, write, tick, zero, duration, note, file, which, one = "line", ...options }) {
  const final = reasons.map((text) => !text);
  const drawn = lines.slice(skip, skip + MOST.lines);
  const series = drawn.map((line) => ({ final, ...line, values: days.map(line.value), reasons }));
  return figure({
    ...options,
    key: drawn,
    file: `${file}_${days[0]}_${days[days.length - 1]}`,
    columns: [{ label: "day" }, ...lines.map((line) => ({ label: line.label, title: name(line.label, 24), number: true, write })),
      { label: "state", title: "State" }],
    rows: () => days.map((day, i) => [day, ...lines.map((line) => line.value(day)), reasons[i] ?? "final"]).reverse(),
    note: [note, partly(drawn.length, lines.length, one, which), pending(reasons, "Dashed")],
    summary: `${plural(drawn.length, "line")} over ${days.length} days.`,
    draw: (host) => lineChart(host, { days, series, format: write, tick, zero, duration }),
  });
}

export function legend(entries) {
  return el("ul", { class: "legend" }, entries.map((entry) => el("li", {},
    swatch(entry.color), name(entry.label, 28), entry.control && el("span", { class: "tag" }, "control"))));
}

/** How much of all a picture shows; null if everything. */
export function partly(shown, all, one, which) {
  return shown < all ? ` The picture shows ${count(shown)} of ${plural(all, one)}: ${which}. The CSV has all of them.` : null;
}

/** Why values are not final, for the note below the picture that draws them dashed or hollow. */
export function pending(reasons, drawn) {
  const open = unique(reasons.filter(Boolean));
  const why = open.length > 2 ? `${open[0]}; … ${open[open.length - 1]}` : open.join("; ");
  return open.length ? el("span", { class: "pending" }, ` ${drawn}: ${why}.`) : null;
}

/**
 * A table that scrolls in itself and can be reached with the keyboard to do so. Its size has a
 * bound; a last row says what is left out, and `where` it is.
 */
export function table(title, columns, rows, { adds = [], where = "in the CSV" } = {}) {
  const most = MOST.columns;
  const places = columns.map((_, i) => i).filter((i) => columns.length <= most || i < most - 1 || i === columns.length - 1);
  const left = rows.slice(MOST.rows);
  const unshown = columns.length - places.length;
  const cell = (row) => (i) => el(i === 0 ? "th" : "td", { scope: i === 0 && "row", class: columns[i].number && "number" },
    columns[i].write ? columns[i].write(row[i], row) : row[i] ?? "");
  const others = () => el("tr", { class: "others" }, places.map((i) =>
    el(i === 0 ? "th" : "td", { scope: i === 0 && "row", class: columns[i].number && "number" },
      i === 0 ? [plural(left.length, "other"), el("small", {}, where)]
        : adds.includes(columns[i].label) && columns[i].write(sum(left.map((row) => row[i]))))));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Table: ${title}` },
    el("table", {},
      el("caption", { class: "sr" }, title),
      el("thead", {}, el("tr", {}, places.map((i) =>
        el("th", { scope: "col", class: columns[i].number && "number" }, columns[i].title ?? words(columns[i].label))))),
      el("tbody", {}, rows.slice(0, MOST.rows).map((row) => el("tr", {}, places.map(cell(row)))), left.length > 0 && others())),
    unshown > 0 && el("p", { class: "note" }, `${plural(unshown, "more column")}: ${where}.`));
}
