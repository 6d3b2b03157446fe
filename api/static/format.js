/** How numbers, days and times are written: instants in the zone of the app's days, which have no clock. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const dayOf = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
const dayShort = dayOf({ day: "numeric", month: "short" });
const dayLong = dayOf({ weekday: "short", day: "numeric", month: "short" });
const dayYear = dayOf({ day: "numeric", month: "short", year: "numeric" });
const NONE = "–";
const HOUR = 3600000;
const DAY = 24 * HOUR;

const guarded = (write) => (value) => (Number.isFinite(value) ? write(value) : NONE);

export const count = guarded((n) => (Number.isInteger(n) || n >= 100 ? whole : tenth).format(n));
export const compact = guarded((n) => (n < 10000 ? count(n) : short.format(n)));
export const decimal = guarded((n) => n.toFixed(2));
export const percent = guarded((n) => `${(n * 100).toFixed(n > 0 && n < 0.001 ? 2 : 1)}%`);
export const tick = guarded((n) => `${+(n * 100).toFixed(1)}%`);
/** Writes a number with its sign. */
export const signed = (write) => guarded((n) => `${n < 0 ? "−" : "+"}${write(Math.abs(n))}`);
export const points = signed((n) => `${(n * 100).toFixed(1)} pt`);
/** A change in percent: +12.3%. */
export const relative = signed(percent);
/** Three digits, for means of any size. */
export const precise = guarded((n) => (Math.abs(n) < 1000 ? String(+n.toPrecision(3)) : count(n)));
export const pValue = guarded((p) => (p < 1e-15 ? "< 1e-15" : p < 0.001 ? p.toExponential(0) : String(+p.toPrecision(2))));

/** Seconds as a person would say them: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. */
export const seconds = guarded((s) => {
  if (s < 10) return `${+s.toFixed(s < 1 ? 2 : 1)} s`;
  for (const [size, unit, below] of [[86400, "d", [3600, "h"]], [3600, "h", [60, "min"]], [60, "min", [1, "s"]]]) {
    if (s >= size) {
      const rest = Math.floor((s % size) / below[0]);
      return `${Math.floor(s / size)} ${unit}${rest ? ` ${rest} ${below[1]}` : ""}`;
    }
  }
  return `${+s.toFixed(1)} s`;
});

/** The zone of the app's days; `known` to this browser, or its times are in UTC. */
export const zone = { name: "", known: true };
const starts = new Map();
let clock;
let calendar;

export function setZone(name) {
  if (name === zone.name) return;
  const use = (timeZone) => {
    clock = new Intl.DateTimeFormat("en-GB", { timeZone, hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
    calendar = new Intl.DateTimeFormat("en-GB", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
  };
  Object.assign(zone, { name, known: true });
  starts.clear();
  try { use(name); } catch { zone.known = false; use("UTC"); }
}
setZone("UTC");

/** @param {string} day "2026-11-24" */
export const toDate = (day) => new Date(`${day}T00:00:00Z`);
export const iso = (date) => date.toISOString().slice(0, 10);
export const addDays = (day, n) => iso(new Date(toDate(day).getTime() + n * DAY));

/** The day of an instant. */
export const dayIn = (instant) => calendar.format(new Date(instant)).split("/").reverse().join("-");
/** The days of a window between instants, by its noons: browser and server may know other rules of a zone. */
export const firstDay = (start) => dayIn(new Date(start).getTime() + 12 * HOUR);
export const lastDay = (end) => dayIn(new Date(end).getTime() - 12 * HOUR);

/** When a day begins, in milliseconds: where the clocks change, not always at midnight. */
export function startOf(day) {
  if (!starts.has(day)) {
    let [low, high] = [-16, 16].map((hours) => toDate(day).getTime() + hours * HOUR);
    while (high - low > 1000) {
      const middle = Math.floor((low + high) / 2000) * 1000;
      if (dayIn(middle) < day) low = middle;
      else high = middle;
    }
    starts.set(day, high);
  }
  return starts.get(day);
}

/** How many hours a day has: 23 or 25 where the clocks change. */
export const hoursOf = (day) => (startOf(addDays(day, 1)) - startOf(day)) / HOUR;
/** When the last user of a day has had so many days of 24 hours. */
export const matures = (day, horizon) => startOf(addDays(day, 1)) + horizon * DAY;

// Days and instants.
const dated = (format) => (text) => (text ? format.format(toDate(text.length === 10 ? text : dayIn(text))) : NONE);
export const day = dated(dayShort);
export const weekday = dated(dayLong);
export const date = dated(dayYear);
export const time = (instant) => (instant ? `${date(instant)}, ${hour(instant)}` : NONE);
export const stamp = (instant) => (instant ? `${day(instant)}, ${hour(instant)}` : NONE);
/** "13:00 CET" */
export const hour = (instant) => clock.format(new Date(instant));

/** "3 – 9 Nov 2026" */
export const days = (from, to) => (from === to ? date(from) : dayYear.formatRange(toDate(from), toDate(to)));

/** "4 min ago", by the server's clock. */
export function age(instant, now) {
  const s = (now - new Date(instant)) / 1000;
  for (const [from, size, unit] of [[86400 * 2, 86400, "days"], [5400, 3600, "h"], [60, 60, "min"]]) {
    if (s >= from) return `${Math.round(s / size)} ${unit} ago`;
  }
  return "just now";
}

/** A name of ours as words: "logging_rate_24h" is "Logging rate 24h". */
export function words(text) {
  const spaced = String(text).replaceAll("_", " ").trim();
  return spaced ? spaced[0].toUpperCase() + spaced.slice(1) : String(text);
}

/** A text cut to so many letters, with an ellipsis. */
export function cut(text, most) {
  const letters = [...text.slice(0, most * 4)];
  return letters.length > most || text.length > most * 4 ? `${letters.slice(0, most).join("")}…` : text;
}

export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
export const list = (items) => new Intl.ListFormat("en", { type: "conjunction" }).format(items);
