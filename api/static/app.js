/** Reads the hash, asks the API, draws the view. */

import * as api from "./api.js";
import { dispose } from "./chart.js";
import { byId, el, fill, roving } from "./dom.js";
import { addDays, days as writeDays, words } from "./format.js";
import { freshness, notice, notices, unknown } from "./notices.js";
import { MOST_DAYS, VIEWS, WINDOWS, current, go, hashWith, length, pin } from "./state.js";
import { explained, failed } from "./states.js";
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
let refused = "";
let shown = null; // the response that is shown: data_as_of, and when it was loaded by both clocks

function buildHeader() {
  fill(tabs, VIEWS.map((view) => el("a", { role: "tab", id: `tab-${view}`, "aria-controls": "panel" }, words(view))));
  roving(tabs, (tab) => tab.click());
  tabs.addEventListener("keydown", (event) => {
    if (event.key === " ") { event.preventDefault(); document.activeElement.click(); }
  });
  fill(byId("window"), el("legend", {}, "Days"), WINDOWS.map((days) => el("label", {},
    el("input", { type: "radio", name: "window", value: days, onchange: () => go({ window: days }) }),
    el("span", {}, days))));
  const [from, to] = ["from", "to"].map(byId);
  const check = () => {
    const wrong = from.value && to.value && !length(from.value, to.value);
    const text = wrong ? `1 to ${MOST_DAYS} days, the first one first.` : "";
    to.setCustomValidity(text);
    byId("range-error").textContent = text;
  };
  byId("range").addEventListener("input", check);
  byId("range").addEventListener("submit", (event) => { event.preventDefault(); go({ from: from.value, to: to.value }); });
  byId("refresh").addEventListener("click", render);
  byId("forget").addEventListener("click", () => { api.token.forget(); render(); });
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
  byId("forget").hidden = !api.token.get();
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
}

/** The days of the answer become those of the address. */
function showDays(state, { window_start: start, window_end: end, generated_at: now }) {
  if (!end) return;
  const [from, to] = [start.slice(0, 10), addDays(end, -1)];
  showRange(from, to, now.slice(0, 10));
  pin(state, from, to);
}

async function render() {
  asked.abort();
  asked = new AbortController();
  const { signal } = asked;
  const { hash } = location;
  const state = current();
  // A new hash aborts the request only when its event arrives, and an answer may come before it.
  const outdated = () => signal.aborted || location.hash !== hash;
  showHeader(state);
  panel.setAttribute("aria-busy", "true");
  if (!panel.firstChild) panel.append(el("p", { class: "loading" }, "Loading…"));
  const view = api.token.get() ? views[state.view] : gate;
  try {
    // Only the view's own request must succeed. Without the runs their notices are missing.
    const [ready, runs, data] = await Promise.all([
      api.ready({ signal }).catch(() => null),
      view === gate ? [] : api.runs(20, { signal }).then((answer) => answer.runs).catch(() => []),
      view.load(state, { signal }),
    ]);
    if (outdated()) return;
    dispose();
    const unmet = unknown(state);
    const nodes = view.draw(data, state, { ready, runs, refused, enter, unmet: (...text) => unmet.push(text) });
    show(nodes, data, notices(ready, runs, unmet));
    showDays(state, data);
    const links = [...document.querySelectorAll(".notice.link")].map((node) => node.textContent);
    byId("status").textContent = [`${heading(state)}.`, ...links].join(" ");
  } catch (error) {
    if (outdated()) return;
    if (!(error instanceof api.ApiError)) console.error(error);
    if (error.status === 401) return reject("The token is no longer accepted. Enter the one that is valid now.");
    dispose();
    show(failed(error, render), null, []);
  }
}

function show(nodes, data, said) {
  // The focused element is replaced by a new one, which gets the focus.
  const focused = panel.contains(document.activeElement) ? document.activeElement.id : "";
  fill(panel, nodes);
  if (focused) byId(focused)?.focus({ preventScroll: true });
  panel.setAttribute("aria-busy", "false");
  shown = data && { asOf: data.data_as_of, loaded: new Date(data.generated_at), at: Date.now() };
  showAge();
  fill(byId("notices"), said);
  refused = "";
}

/** The age grows while the tab is open. */
function showAge() {
  const now = shown && new Date(shown.loaded.getTime() + Date.now() - shown.at);
  fill(byId("freshness"), shown && freshness(shown.asOf, now, shown.loaded));
}

/** Reports an error outside of `render`, such as in drawing a chart or writing a file. */
function fault(error) {
  byId("fault")?.remove();
  const node = notice("bad", el("p", {}, explained(error).join(". ")));
  node.id = "fault";
  byId("notices").append(node);
}

function reject(text) {
  api.token.forget();
  refused = text;
  render();
}

/** Tries a token and keeps it if it is valid. Throws the API's error. */
async function enter(token) {
  await api.runs(1, { as: token });
  api.token.set(token);
  await render();
  byId("main").focus();
}

buildHeader();
addEventListener("hashchange", render);
addEventListener("error", ({ error }) => error && fault(error));
addEventListener("unhandledrejection", ({ reason }) => fault(reason));
document.addEventListener("visibilitychange", () => document.hidden || showAge());
setInterval(showAge, 60000);
render();
