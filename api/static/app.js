/** Reads the hash, asks the API, draws the view. */

import * as api from "./api.js";
import { dispose } from "./chart.js";
import { byId, el, roving } from "./dom.js";
import { words } from "./format.js";
import { freshness, notices } from "./notices.js";
import { VIEWS, WINDOWS, current, go, hashWith } from "./state.js";
import { failed } from "./states.js";
import * as gate from "./views/gate.js";
import * as overview from "./views/overview.js";
import * as experiments from "./views/experiments.js";
import * as funnel from "./views/funnel.js";
import * as ingestion from "./views/ingestion.js";

const views = { overview, experiments, funnel, ingestion };
const panel = byId("panel");
const tabs = byId("tabs");
let asked = new AbortController();
let refused = "";

function buildHeader() {
  tabs.append(...VIEWS.map((view) => el("a", { role: "tab", id: `tab-${view}`, "aria-controls": "panel" }, words(view))));
  roving(tabs, (tab) => tab.click());
  tabs.addEventListener("keydown", (event) => {
    if (event.key === " ") { event.preventDefault(); document.activeElement.click(); }
  });
  byId("window").append(...WINDOWS.map((days) => el("label", {},
    el("input", { type: "radio", name: "window", value: days, onchange: () => go({ window: days }) }),
    el("span", {}, days))));
  byId("refresh").addEventListener("click", render);
  byId("forget").addEventListener("click", () => { api.token.forget(); render(); });
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the hash is taken
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
  document.querySelector(`input[name=window][value="${state.window}"]`).checked = true;
  panel.setAttribute("aria-labelledby", `tab-${state.view}`);
  byId("heading").textContent = `${words(state.view)}, ${state.window} days`;
  byId("forget").hidden = !api.token.get();
  document.title = `${words(state.view)} · Analytics Rollups`;
}

async function render() {
  asked.abort();
  asked = new AbortController();
  const { signal } = asked;
  const state = current();
  showHeader(state);
  panel.setAttribute("aria-busy", "true");
  if (!panel.firstChild) panel.append(el("p", { class: "loading" }, "Loading…"));
  const view = api.token.get() ? views[state.view] : gate;
  try {
    // The view's own numbers decide; what is said about runs is left out when it cannot be had.
    const [ready, runs, data] = await Promise.all([
      api.ready({ signal }).catch(() => null),
      view === gate ? [] : api.runs(20, { signal }).then((answer) => answer.runs).catch(() => []),
      view.load(state, { signal }),
    ]);
    if (signal.aborted) return;
    dispose();
    show(view.draw(data, state, { ready, runs, refused, enter }), data, notices(ready, runs));
    byId("status").textContent = `${words(state.view)}, ${state.window} days.`;
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof api.ApiError)) console.error(error);
    if (error.status === 401) return reject("The token is no longer accepted. Enter the one that is valid now.");
    dispose();
    show([failed(error, render)], null, []);
  }
}

function show(nodes, data, said) {
  // What had the focus is drawn anew, and gets it back.
  const focused = panel.contains(document.activeElement) ? document.activeElement.id : "";
  panel.replaceChildren(...[nodes].flat(Infinity).filter(Boolean));
  if (focused) byId(focused)?.focus({ preventScroll: true });
  panel.setAttribute("aria-busy", "false");
  byId("freshness").replaceChildren(...(data ? freshness(data.data_as_of, data.generated_at) : []));
  byId("notices").replaceChildren(...said);
  refused = "";
}

function reject(text) {
  api.token.forget();
  refused = text;
  render();
}

/** Tries a token before it is kept. Throws what the API says against it. */
async function enter(token) {
  await api.runs(1, { as: token });
  api.token.set(token);
  await render();
  byId("main").focus();
}

buildHeader();
addEventListener("hashchange", render);
render();
