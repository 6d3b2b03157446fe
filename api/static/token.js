/**
 * The token, in the tab's session storage. Other tabs of this page in the same browser session are
 * told of it through a channel in memory, and of its end.
 */

const KEY = "dashboard-token";
const WAIT_MS = 200;
const PLACE = new URL(".", document.baseURI).pathname; // below other prefixes are other dashboards
const FORGOTTEN = `${KEY}-forgotten ${PLACE}`;

// Access to blocked storage throws. The token then lasts until the next reload.
let unstored = null;
function stored(use) {
  try { return use(sessionStorage, localStorage); } catch { return null; }
}

const channel = new BroadcastChannel(`${KEY} ${PLACE}`);

// A tab that slept, or was restored, did not hear that the token was forgotten.
const isForgotten = (storage, shared) => Number(shared.getItem(FORGOTTEN)) > Number(storage.getItem(`${KEY}-since`));

const held = () => unstored ?? stored((storage) => storage.getItem(KEY));
export const get = () => unstored ?? (stored(isForgotten) ? null : held());

function keep(value) {
  unstored = value;
  stored((storage) => {
    storage.setItem(KEY, value);
    storage.setItem(`${KEY}-since`, Date.now());
    unstored = null;
  });
}

/** Forgets the token in this tab. */
export function drop() {
  unstored = null;
  stored((storage) => storage.removeItem(KEY));
}

/** Keeps the token in this tab, and in those that have none. */
export function set(value) {
  keep(value);
  channel.postMessage({ token: value });
}

/** Forgets the token in every tab. */
export function forget() {
  drop();
  stored((_, shared) => shared.setItem(FORGOTTEN, Date.now()));
  channel.postMessage({ forget: true });
}

/**
 * Asks the other tabs for the token, and calls `changed` whenever one of them gives or ends it.
 * @returns {Promise} when one has answered, or none is there
 */
export function share(changed) {
  let started = false;
  const asked = new Promise((resolve) => {
    channel.addEventListener("message", ({ data }) => {
      const token = get();
      const isNew = typeof data.token === "string" && !token;
      // The sender has marked the token as forgotten already.
      const isGone = data.forget && held() !== null;
      if (data.ask && token) channel.postMessage({ token });
      if (isNew) keep(data.token);
      if (isGone) drop();
      if (!isNew && !isGone) return;
      if (started) changed();
      else resolve();
    });
    if (get()) return resolve();
    channel.postMessage({ ask: true });
    setTimeout(resolve, WAIT_MS);
  });
  return asked.then(() => { started = true; });
}
