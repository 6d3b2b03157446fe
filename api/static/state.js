/** The state of the page is in the hash, so that a view can be shared; the token is not. */

export const VIEWS = ["overview", "experiments", "funnel", "ingestion"];
export const WINDOWS = [7, 14, 30, 90];
const TEXTS = ["experiment", "funnel", "day"];
const DEFAULT = { view: "overview", window: 14, experiment: "", funnel: "", day: "" };

/**
 * @param {string} hash as in "#/funnel?window=30&experiment=exp_1"
 * @returns {Object} the state, with `unknown`: what the hash asks for and the page does not have
 */
export function read(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const given = new URLSearchParams(query);
  const state = { ...DEFAULT, unknown: [] };
  if (VIEWS.includes(path)) state.view = path;
  else if (path) state.unknown.push(["view", path]);
  for (const [key, value] of given) {
    if (key === "day" && state.view !== "funnel") state.unknown.push([key, value]);
    else if (TEXTS.includes(key)) state[key] = value;
    else if (key === "window" && WINDOWS.map(String).includes(value)) state.window = Number(value);
    else state.unknown.push([key, value]);
  }
  for (const key of new Set(given.keys())) {
    if (given.getAll(key).length > 1) state.unknown.push(["twice", key]);
  }
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
