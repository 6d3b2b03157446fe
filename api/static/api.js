/** Requests to the API. The token is sent only in a header. */

import { setZone } from "./format.js";
import { setKeyEvents } from "./labels.js";
import * as token from "./token.js";

const TIMEOUT_MS = 30000;

export class ApiError extends Error {
  /** @param {number} status 0 when the API did not answer */
  constructor(status, title, message) {
    super(message);
    this.status = status;
    this.title = title;
  }
}

// Headers are bytes: letters beyond ASCII are sent as UTF-8.
const headerValue = (text) => Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");

/**
 * @param {string} path relative to the page, so that it may live below a prefix
 * @param {Object<string, *>} [query]
 * @param {{signal?: AbortSignal, as?: string, open?: boolean}} [options] `as` tries another token
 */
export async function get(path, query = {}, { signal, as, open } = {}) {
  const url = new URL(path, document.baseURI);
  url.hash = "";
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
  const given = open ? null : (as ?? token.get());
  const headers = new Headers(given ? { "x-dashboard-token": headerValue(given) } : {});
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  let body;
  try {
    response = await fetch(url, {
      headers,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      credentials: "same-origin",
    });
    body = await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (timeout.aborted) {
      throw new ApiError(0, "The API takes too long", `The answer was not complete after ${TIMEOUT_MS / 1000} seconds. Try a shorter window.`);
    }
    if (error instanceof SyntaxError) {
      throw new ApiError(0, "Unreadable answer", `Something other than the API answered, with status ${response.status}.`);
    }
    // fetch throws TypeError for every network error.
    if (error instanceof TypeError) {
      throw new ApiError(0, "The API does not answer", "Check that it is running and that you are online.");
    }
    throw error;
  }
  if (response.ok) {
    // Before anyone writes a day or a label.
    if (body.timezone) setZone(body.timezone);
    if (body.key_events) setKeyEvents(body.key_events);
    return body;
  }
  throw new ApiError(response.status, body.error ?? response.statusText, body.message ?? "");
}

export const daily = (query, options) => get("v1/metrics/daily", query, options);
export const experiments = (query, options) => get("v1/metrics/experiments", query, options);
/** An experiment's read-out, over its whole life. */
export const readouts = (id, options) => get("v1/metrics/readouts", { experiment_id: id }, options);
export const funnels = (query, options) => get("v1/metrics/funnels", query, options);
export const conversions = (query, options) => get("v1/metrics/conversions", query, options);
export const retention = (query, options) => get("v1/metrics/retention", query, options);
export const active = (query, options) => get("v1/metrics/active", query, options);
export const dimensions = (query, options) => get("v1/metrics/dimensions", query, options);
export const summary = (query, options) => get("v1/metrics/summary", query, { ...options, open: true });
export const runs = (limit, options) => get("v1/runs", { limit }, options);

/** An answer that a view can do without: if it fails, an empty one with the error. */
export const optional = (asked) => asked.catch((error) => {
  if (!(error instanceof ApiError) || error.status === 401) throw error;
  return { days: [], rows: [], steps: [], experiments: [], error };
});
export const ready = (options) => get("ready", {}, { ...options, open: true });
