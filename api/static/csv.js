/** Tables as CSV files, made in the page. */

// Spreadsheets run cells that look like formulas; a quote in front prevents it. The pattern is that of
// csv_text in api/sql/macros.sql.
const FORMULA = /^[\t\r\n]|^[\s\u0085\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]*[-=+@\uff1d\uff0b\uff0d\uff20]/;

// By it Excel knows that the file is UTF-8.
const BOM = "\ufeff";

export function cell(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  if (typeof value === "number") return String(value);
  const text = FORMULA.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** @param {string[]} head @param {Array<Array<*>>} rows */
export const csv = (head, rows) => [head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";

/** @param {string} name of the file; characters that a file system may refuse become `_` */
export function download(name, head, rows) {
  const url = URL.createObjectURL(new Blob([BOM, csv(head, rows)], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${name.replace(/[^\w-]+/g, "_").slice(-120)}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
