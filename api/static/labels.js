/** Titles of metrics: those that count the app's key events are made from the events' names. No DOM here. */

import { cut, words } from "./format.js";

let events = [];
export const keyEvents = () => events;
export const setKeyEvents = (names) => { events = names; };

/** "Order placed", "Order placed or signup" */
export const keyEvent = () => words(events.length === 1 || events.length === 2 ? events.map((one) => cut(one, 40)).join(" or ") : "key_event");

/** Names of events in a sentence. */
export function quoted(names) {
  const parts = names.map((one) => `“${cut(one, 40)}”`);
  return parts.length > 8 ? `one of ${parts.length} events` : parts.join(" or ");
}
export const quotedKeyEvent = () => quoted(events) || "a key event";

const TITLES = new Map(Object.entries({
  dau: "Daily active users",
  ingestion_lag_p50: "Ingestion lag, p50",
  ingestion_lag_p95: "Ingestion lag, p95",
  sessions_submitted: "{}",
  sessions_submitted_total: "{}",
  logging_rate_24h: "{} within 24 h",
  logging_rate_24h_by_variant: "{} within 24 h",
  sessions_submitted_d7: "{} in seven days, per user",
  logged_24h: "{} within 24 h",
  sessions_7d: "{} in seven days",
}));

export const title = (metric) => TITLES.get(metric)?.replace("{}", keyEvent) ?? words(metric);

/** An experiment's metric. One that does not count the key event is called by its name. */
export const metricTitle = ({ metric_name: metric, event_name: event }) => (event === "$key_event" ? title(metric) : words(metric));
