/** Reads the hash, asks the API, draws the view. */

import * as api from "./api.js";
import { dispose } from "./chart.js";
import { byId, el, fill, roving } from "./dom.js";
import { dayIn, days as writeDays, firstDay, lastDay, words, zone } from "./format.js";
import { isBusy, remember } from "./keep.js";
import { freshness, notice, notices, unknown } from "./notices.js";
import { MOST_DAYS, VIEWS, current, go, hashWith, length, pin } from "./state.js";
import { explained, failed } from "./states.js";
import * as token from "./token.js";
import * as gate from "./views/gate.js";
import * as overview from "./views/overview.js";
import * as experiments from "./views/experiments.js";
import * as funnel from "./views/funnel.js";
import * as retention from "./views/retention.js";
import * as ingestion from "./views/ingestion.js";

const views = { overview, experiments, funnel, retention, ingestion };
const panel = byId("panel");
const tabs = byId("tabs");
let asked = new AbortController();
const TICK_MS = 15000;
const REFRESH_MS = 5 * 60000;
let refused = "";
let tried = 0; // when the last answer was asked for
let shown = null; // the answer that is shown: data_as_of, when it was loaded by both clocks, its hash and a mark of its content

function buildHeader() {
  roving(tabs, (tab) => tab.click());
  tabs.addEventListener("keydown", (event) => {
    if (event.key === " ") { event.preventDefault(); document.activeElement.click(); }
  });
  byId("window").addEventListener("change", (event) => go({ window: Number(event.target.value) }));
  const [from, to] = ["from", "to"].map(byId);
  const check = () => {
    const wrong = from.value && to.value && !length(from.value, to.value);
    const text = wrong ? `1 to ${MOST_DAYS} days, the first one first.` : "";
    to.setCustomValidity(text);
    byId("range-error").textContent = text;
    byId("range").classList.add("typed");
  };
  byId("range").addEventListener("input", check);
  byId("range").addEventListener("submit", (event) => { event.preventDefault(); go({ from: from.value, to: to.value }); });
  byId("refresh").addEventListener("click", render);
  byId("forget").addEventListener("click", () => { token.forget(); render(); });
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the hash holds the view
    byId("main").focus();
  });
}

function showHeader(state) {
  for (const view of VIEWS) {
    const tab = byId(`tab-${view}`);
    const chosen = view === state.view;
    tab.setAttribute("aria-selected", chosen);
    tab.tabIndex = chosen ? 0 : -1;
    tab.href = hashWith({ view });
  }
  for (const input of document.querySelectorAll("input[name=window]")) input.checked = Number(input.value) === state.window;
  panel.setAttribute("aria-labelledby", `tab-${state.view}`);
  byId("heading").textContent = heading(state);
  if (state.from) showRange(state.from, state.to);
  byId("forget").hidden = !token.get();
  document.title = `${words(state.view)} · Analytics Rollups`;
}

const heading = ({ view, from, to, days }) => `${words(view)}, ${from ? writeDays(from, to) : `${days} days`}`;

function showRange(from, to, today) {
  for (const [id, value] of Object.entries({ from, to })) {
    byId(id).value = value;
    if (today) byId(id).max = value > today ? value : today;
  }
  byId("to").setCustomValidity("");
  byId("range-error").textContent = "";
  byId("range").classList.remove("typed");
}

/** The days of the answer become those of the address. */
function showDays(state, { window_start: start, window_end: end, generated_at: now }) {
  if (!end) return;
  const [from, to] = [firstDay(start), lastDay(end)];
  showRange(from, to, dayIn(now));
  pin(state, from, to);
}

/** What paper needs beside the numbers: the view, its days and what was chosen. */
function showPaper(state, { window_start: start, window_end: end }) {
  const chosen = [...panel.querySelectorAll("select")].map((one) => ` · ${one.labels[0].textContent}: ${one.selectedOptions[0]?.textContent}`);
  byId("paper").textContent = [token.get() ? words(state.view) : "Summary", end && `, ${writeDays(firstDay(start), lastDay(end))}`, ...chosen].filter(Boolean).join("");
  byId("zone").textContent = `Days are ${zone.name === "UTC" ? "UTC days" : `days of ${zone.name}`}.`;
}

/** What would be drawn: the same as before, if only the clock went on. */
const markOf = (...content) => JSON.stringify(content, (key, value) => (["generated_at", "age_seconds"].includes(key) ? undefined : value));

/** @param {{quiet?: boolean}} options quiet: nobody asked for it, so it takes nothing away */
async function render({ quiet = false } = {}) {
  asked.abort();
  tried = Date.now();
  asked = new AbortController();
  const { signal } = asked;
  const { hash } = location;
  const state = current();
  // A new hash aborts the request only when its event arrives, and an answer may come before it.
  const outdated = () => signal.aborted || location.hash !== hash;
  if (!quiet) {
    showHeader(state);
    panel.setAttribute("aria-busy", "true");
    if (!panel.firstChild) panel.append(el("p", { class: "loading" }, "Loading…"));
  }
  const view = token.get() ? views[state.view] : gate;
  try {
    // Only the view's own request must succeed. Without the runs their notices are missing.
    const [ready, runs, data] = await Promise.all([
      api.ready({ signal }).catch(() => null),
      view === gate ? [] : api.runs(20, { signal }).then((answer) => answer.runs).catch(() => []),
      view.load(state, { signal }),
    ]);
    if (outdated() || (quiet && isBusy())) return;
    // An answer from the browser's cache has the clock of then.
    if (ready) data.generated_at = ready.generated_at;
    const mark = markOf(data, ready?.jobs, runs, zone.name, data.generated_at && dayIn(data.generated_at));
    const isSame = quiet && mark === shown?.mark;
    if (isSame) {
      showNotices([...document.querySelectorAll(".notice.link")].map((node) => node.cloneNode(true)), notices(ready, runs, []));
    } else {
      const restore = hash === shown?.hash ? remember(panel) : null;
      dispose();
      const unmet = unknown(state);
      show(view.draw(data, state, { runs, refused, enter, unmet: (...text) => unmet.push(text) }));
      showNotices(notices(ready, runs, unmet));
      showDays(state, data);
      showPaper(state, data);
      restore?.();
    }
    shown = { asOf: data.data_as_of, loaded: new Date(data.generated_at), at: Date.now(), hash: location.hash, mark };
    showAge();
    if (quiet) return;
    const links = [...document.querySelectorAll(".notice.link")].map((node) => node.textContent);
    byId("status").textContent = [`${heading(state)}.`, ...links].join(" ");
  } catch (error) {
    if (outdated()) return;
    if (!(error instanceof api.ApiError)) console.error(error);
    if (error.status === 401) return reject("The token is no longer accepted. Enter the one that is valid now.");
    if (quiet && shown) {
      shown.failure = error;
      return showAge();
    }
    dispose();
    shown = null;
    show(failed(error, render));
    showNotices();
    showAge();
  }
}

function show(nodes) {
  // The focused element is replaced by a new one, which gets the focus.
  const focused = panel.contains(document.activeElement) ? document.activeElement.id : "";
  fill(panel, nodes);
  if (focused) byId(focused)?.focus({ preventScroll: true });
  panel.setAttribute("aria-busy", "false");
  byId("foot").hidden = false;
  refused = "";
}

function showNotices(...said) {
  const box = fill(el("div"), said);
  // What is said already is neither closed nor read out again.
  if (box.textContent !== byId("notices").textContent) fill(byId("notices"), [...box.childNodes]);
}

/** The age grows while the tab is open. */
function showAge() {
  const now = shown && new Date(shown.loaded.getTime() + Date.now() - shown.at);
  const why = shown?.failure && explained(shown.failure)[0];
  const box = fill(el("p"), shown && freshness(shown.asOf, now, shown.loaded, why));
  if (box.textContent !== byId("freshness").textContent) fill(byId("freshness"), [...box.childNodes]);
}

/** Asks for newer numbers from time to time, while somebody may look and nobody edits. */
function tick() {
  if (document.hidden) return;
  showAge();
  const due = Date.now() - tried >= REFRESH_MS && panel.getAttribute("aria-busy") === "false";
  if (due && byId("auto").checked && !isBusy()) render({ quiet: true });
}

/** Reports an error outside of `render`, such as in drawing a chart or writing a file. */
function fault(error) {
  byId("fault")?.remove();
  const node = notice("bad", el("p", {}, explained(error).join(". ")));
  node.id = "fault";
  byId("notices").append(node);
}

function reject(text) {
  token.drop();
  refused = text;
  render();
}

/** Tries a token and keeps it if it is valid. Throws the API's error. */
async function enter(given) {
  await api.runs(1, { as: given });
  token.set(given);
  await render();
  byId("main").focus();
}

buildHeader();
addEventListener("hashchange", render);
addEventListener("error", ({ error }) => error && fault(error));
addEventListener("unhandledrejection", ({ reason }) => fault(reason));
document.addEventListener("visibilitychange", tick);
setInterval(tick, TICK_MS);
await token.share(render);
render();
