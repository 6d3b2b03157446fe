/** Makes elements. Text goes in as text: nothing here reads markup. */

/**
 * @param {string} tag
 * @param {Object<string, *>} [props] attributes; `class`, `on…` handlers, `data`, `style` by CSSOM
 * @param {...(Node|string|number|null|false|Array)} children
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name === "style") for (const [key, v] of Object.entries(value)) node.style.setProperty(key, v);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

/** A name that the app sent: cut to what can be read, and kept from turning the text around it. */
export function name(text, most = 48) {
  const whole = String(text);
  const letters = [...whole.slice(0, most * 4)];
  const cut = letters.length > most || whole.length > most * 4;
  const shown = cut ? `${letters.slice(0, most).join("")}…` : whole;
  return el("bdi", { class: "name", title: cut ? whole.slice(0, 500) : null }, shown);
}

export const byId = (id) => document.getElementById(id);

/** Moves the focus in a row of elements with the arrow keys, Home and End. */
export function roving(list, onMove) {
  list.addEventListener("keydown", (event) => {
    const items = [...list.children];
    const at = items.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const item = items[(to + items.length) % items.length];
    item.focus();
    onMove(item);
  });
}
