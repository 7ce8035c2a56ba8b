// @ts-check
// Single keys, wherever nobody is typing; they can be switched off (WCAG 2.1.4).

import { byId } from "../dom.js";
import { settings } from "../data/store.js";

/** @param {Record<string, () => void>} actions by `event.key`, "Ctrl+z" for undo */
export function wireKeys(actions) {
  const isOn = byId("keys-on", HTMLInputElement);
  const help = byId("help", HTMLDialogElement);
  isOn.checked = settings.is("keys", true);
  isOn.addEventListener("change", () => settings.set("keys", isOn.checked));
  byId("help-open").addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", (event) => {
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const isUndo =
      (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !event.shiftKey;
    if (!isUndo && (event.ctrlKey || event.metaKey || event.altKey || !isOn.checked)) return;
    if (event.key === "?") return help.showModal();
    if (document.body.dataset.view !== "result") return;
    // The space bar presses what has the focus.
    const focused = event.target instanceof Element ? event.target : document.body;
    if (event.key === " " && focused.closest("button, input, summary, a")) return;
    const action =
      actions[isUndo ? "Ctrl+z" : event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

/** @param {EventTarget | null} target @returns {boolean} */
function isTyping(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !["checkbox"].includes(target.type);
  return target.matches("textarea, select, [role=menuitem]");
}
