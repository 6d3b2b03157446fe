/** What a reader has opened, typed, scrolled and focused, found again in a view that is drawn anew. */

import { byId } from "./dom.js";

const PARTS = "a, button, input, select, summary, pre, ul, .scroll, .picker";

/** Elements by what they are called. */
function parts(root) {
  const seen = new Map();
  return new Map([...root.querySelectorAll(PARTS)].map((node) => {
    const called = `${node.localName} ${node.id || node.getAttribute("aria-label") || (node.localName === "ul" ? "" : node.textContent)}`;
    seen.set(called, (seen.get(called) ?? 0) + 1);
    return [`${called} ${seen.get(called)}`, node];
  }));
}

/** @returns {() => void} what brings it back, after the view is drawn */
export function remember(root) {
  const page = [scrollX, scrollY];
  const before = [...parts(root)].map(([called, node]) => ({
    called, left: node.scrollLeft, top: node.scrollTop, focused: node === document.activeElement,
    pressed: node.getAttribute("aria-pressed") === "true", open: node.localName === "summary" && node.parentNode.open,
    typed: node.type === "search" && node.value,
  }));
  return () => {
    for (const one of before) if (one.pressed) parts(root).get(one.called)?.click();
    const after = parts(root);
    for (const { called, open, typed, left, top, focused } of before) {
      const node = after.get(called);
      if (!node) continue;
      if (typed) { node.value = typed; node.dispatchEvent(new Event("input")); }
      if (open) { node.parentNode.open = true; node.parentNode.dispatchEvent(new Event("toggle")); }
      if (left || top) node.scrollTo(left, top);
      if (focused) node.focus({ preventScroll: true });
    }
    scrollTo(...page);
  };
}

const EDIT_MS = 60000;
let touched = 0;
for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => { touched = Date.now(); }, true);

/** Whether someone types, chooses or marks something that a new view would take away. */
export function isBusy() {
  const edited = document.activeElement.matches("input, select") && Date.now() - touched < EDIT_MS;
  return edited || getSelection().type === "Range" || byId("range").classList.contains("typed") || Boolean(byId("token")?.value);
}
