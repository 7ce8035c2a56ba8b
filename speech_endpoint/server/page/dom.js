// @ts-check
// The few words that the parts of the page share.

/**
 * The element of an id, which the document has.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} [type]
 * @returns {T}
 */
export function byId(id, type) {
  const element = document.getElementById(id);
  if (!element || (type && !(element instanceof type))) throw new Error(`no #${id}`);
  return /** @type {T} */ (element);
}

/**
 * A new element. Text enters as text: nothing that was said or typed is ever markup.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | boolean | ((event: any) => void)>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** @param {string} text For those who hear the page. */
export function say(text) {
  byId("said").textContent = text;
}

/** @param {number} seconds @returns {string} 1:02:03, or 2:03. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(Number.isFinite(seconds) ? seconds : 0));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, n) => (n ? String(part).padStart(2, "0") : String(part))).join(":");
}

/** @param {number} seconds @returns {string} "about 2 minutes" */
export function roughly(seconds) {
  if (seconds < 50) return `about ${Math.max(5, Math.ceil(seconds / 5) * 5)} seconds`;
  const minutes = Math.max(1, Math.round(seconds / 60));
  if (minutes < 60) return minutes === 1 ? "about a minute" : `about ${minutes} minutes`;
  return `about ${(minutes / 60).toFixed(1)} hours`;
}

/** @param {number} bytes @returns {string} */
export function size(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} KB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/**
 * Ask, and wait for the answer.
 * @param {string} title
 * @param {string | Node} body
 * @param {{label: string, value: string, danger?: boolean}[]} choices the last one is the default
 * @returns {Promise<string>} The value that was chosen; "" where the dialogue was closed.
 */
export function ask(title, body, choices) {
  const dialog = byId("dialog", HTMLDialogElement);
  byId("dialog-title").textContent = title;
  byId("dialog-body").replaceChildren(body);
  const buttons = choices.map(({ label, value, danger }, n) => {
    const look = danger ? "danger" : n === choices.length - 1 ? "solid" : "quiet";
    return make("button", { class: look, value }, label);
  });
  byId("dialog-row").replaceChildren(...buttons);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true });
  });
}
