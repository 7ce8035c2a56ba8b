// @ts-check
// A menu beside a button: arrows move, Enter chooses, Escape leaves.

import { make } from "./dom.js";

/** @typedef {{label: string, hint?: string, chip?: Node, action: () => void} | {heading: string}} Item */

/** @type {(() => void) | null} */
let close = null;

/**
 * @param {HTMLElement} button
 * @param {string} name of the menu
 * @param {Item[]} items
 */
export function openMenu(button, name, items) {
  close?.();
  const entries = items.map((item) =>
    "heading" in item
      ? make("p", { class: "menu-heading", role: "presentation" }, item.heading)
      : entry(item),
  );
  const menu = make(
    "div",
    { class: "popover", role: "menu", "aria-label": name, popover: "auto" },
    ...entries,
  );
  const buttons = entries.filter((each) => each instanceof HTMLButtonElement);
  const step = (/** @type {number} */ by) => {
    const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    buttons[(at + by + buttons.length) % buttons.length].focus();
  };
  menu.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") step(1);
    else if (event.key === "ArrowUp") step(-1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  menu.addEventListener("toggle", (event) => {
    if (/** @type {ToggleEvent} */ (event).newState === "closed") menu.remove();
  });
  close = () => {
    close = null;
    button.setAttribute("aria-expanded", "false");
    if (menu.contains(document.activeElement)) button.focus();
    menu.remove();
  };
  menu.addEventListener("beforetoggle", (event) => {
    if (/** @type {ToggleEvent} */ (event).newState === "closed") close?.();
  });
  button.setAttribute("aria-expanded", "true");
  (button.closest("main, header") ?? document.body).append(menu);
  menu.showPopover();
  placeBeside(menu, button);
  buttons[0]?.focus();
}

/** @param {{label: string, hint?: string, chip?: Node, action: () => void}} item */
function entry({ label, hint, chip, action }) {
  const choose = () => {
    close?.();
    action();
  };
  const parts = [
    ...(chip ? [chip] : []),
    make("span", {}, label),
    ...(hint ? [make("small", {}, hint)] : []),
  ];
  return make(
    "button",
    { class: "menu-item", role: "menuitem", type: "button", click: choose },
    ...parts,
  );
}

/** @param {HTMLElement} menu @param {HTMLElement} button */
function placeBeside(menu, button) {
  const at = button.getBoundingClientRect();
  const own = menu.getBoundingClientRect();
  const left = Math.min(at.left, innerWidth - own.width - 8);
  const below = at.bottom + 6;
  const top = below + own.height > innerHeight ? Math.max(8, at.top - own.height - 6) : below;
  menu.style.left = `${Math.max(8, left)}px`;
  menu.style.top = `${top}px`;
}
