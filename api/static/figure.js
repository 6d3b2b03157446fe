/** A chart with its title, its key, its numbers as a table, and the table as a file. */

import { download } from "./csv.js";
import { el, name } from "./dom.js";
import { swatch } from "./chart.js";
import { words } from "./format.js";

let nth = 0;

/**
 * @typedef {{label: string, write?: (value: *) => string|Node, number?: boolean}} Column
 * @param {{title: string, file: string, columns: Column[], rows: Array<Array<*>>,
 *   head?: Node[], note?: string|Node, key?: {label: string, color: string, control?: boolean}[],
 *   summary: string, size?: string, draw: (host: HTMLElement) => void}} options
 */
export function figure({ title, file, columns, rows, head = [], note, key, summary, size = "", draw }) {
  const id = `figure-${++nth}`;
  const host = el("div", { class: `chart ${size}`, role: "img", "aria-label": `${title}. ${summary}` });
  const numbers = el("div", { class: `numbers ${size}`, hidden: true });
  const toggle = el("button", {
    type: "button", class: "quiet", "aria-pressed": "false", "aria-label": `Table: ${title}`,
    onclick: () => {
      const open = toggle.getAttribute("aria-pressed") !== "true";
      toggle.setAttribute("aria-pressed", open);
      numbers.hidden = !open;
      host.hidden = open;
      if (open && !numbers.firstChild) numbers.append(table(title, columns, rows));
    },
  }, "Table");
  draw(host);
  return el("section", { class: "card figure", "aria-labelledby": id },
    el("div", { class: "figure-head" },
      el("h3", { id }, title),
      el("div", { class: "figure-tools" }, toggle, csvButton(title, file, columns, rows))),
    head,
    key && legend(key),
    host, numbers,
    note && el("p", { class: "note" }, note));
}

export function csvButton(title, file, columns, rows) {
  return el("button", {
    type: "button", class: "quiet", "aria-label": `CSV: ${title}`,
    onclick: () => download(`${file}.csv`, columns.map((column) => column.label), rows),
  }, "CSV");
}

export function legend(entries) {
  return el("ul", { class: "legend" }, entries.map((entry) => el("li", {},
    swatch(entry.color), name(entry.label, 28), entry.control && el("span", { class: "tag" }, "control"))));
}

/** A table that scrolls in itself and can be reached with the keyboard to do so. */
export function table(title, columns, rows, { foot } = {}) {
  const cell = (row) => (column, i) => {
    const value = row[i];
    const text = column.write ? column.write(value, row) : value ?? "";
    return el(i === 0 ? "th" : "td", { scope: i === 0 && "row", class: column.number && "number" }, text);
  };
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Table: ${title}` },
    el("table", {},
      el("caption", { class: "sr" }, title),
      el("thead", {}, el("tr", {}, columns.map((column) =>
        el("th", { scope: "col", class: column.number && "number" }, column.title ?? words(column.label))))),
      el("tbody", {}, rows.map((row) => el("tr", {}, columns.map(cell(row))))),
      foot));
}
