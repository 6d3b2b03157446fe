/** What is shown lives in the hash, so that a view can be shared. The token never does. */

export const VIEWS = ["overview", "experiments", "funnel", "ingestion"];
export const WINDOWS = [7, 14, 30, 90];
const TEXTS = ["experiment", "funnel", "day"];
const DEFAULT = { view: "overview", window: 14, experiment: "", funnel: "", day: "" };

/** @param {string} hash as in "#/funnel?window=30&experiment=exp_1" */
export function read(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const given = new URLSearchParams(query);
  const state = { ...DEFAULT };
  if (VIEWS.includes(path)) state.view = path;
  const days = Number(given.get("window"));
  if (WINDOWS.includes(days)) state.window = days;
  for (const key of TEXTS) state[key] = given.get(key) ?? "";
  if (!/^\d{4}-\d{2}-\d{2}$/.test(state.day)) state.day = "";
  return state;
}

export function write(state) {
  const query = new URLSearchParams();
  query.set("window", state.window);
  for (const key of TEXTS) if (state[key]) query.set(key, state[key]);
  return `#/${state.view}?${query}`;
}

export const current = () => read(location.hash);

/** The hash of the current state with changes; what belongs to one view only is left behind. */
export function hashWith(changes) {
  const before = current();
  const state = { ...before, ...changes };
  if (changes.view && changes.view !== before.view) state.day = "";
  return write(state);
}

export function go(changes) {
  location.hash = hashWith(changes);
}
