/** Creates elements. Text is always inserted as text, never as markup. */

import { cut } from "./format.js";

/**
 * @param {string} tag
 * @param {Object<string, *>} [props] attributes; `class`, `on…` handlers, `style` by CSSOM
 * @param {...(Node|string|number|null|false|Array)} children
 */
export function el(tag, props = {}, ...children) {
  return built(document.createElement(tag), props, children);
}

/** Creates an element of a drawing. */
export const svg = (tag, props = {}, ...children) => built(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);

function built(node, props, children) {
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "style") for (const [property, v] of Object.entries(value)) node.style.setProperty(property, v);
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  return add(node, children);
}

// One by one: engines limit the number of arguments to some 100,000.
function add(node, child) {
  if (Array.isArray(child)) for (const one of child) add(node, one);
  else if (child !== null && child !== undefined && child !== false) node.append(child);
  return node;
}

/** Replaces what is in an element. */
export function fill(node, ...children) {
  node.replaceChildren();
  return add(node, children);
}

/** A name from the app, isolated from the text around it. If it is cut, the tooltip has the rest. */
export function name(text, most = 48) {
  const whole = String(text);
  const shown = cut(whole, most);
  return el("bdi", { class: "name", title: shown === whole ? null : whole.slice(0, 5000) }, shown);
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
