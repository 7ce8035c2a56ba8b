// @ts-check
// Server-sent events from a text that grows (https://html.spec.whatwg.org/multipage/server-sent-events.html).

/**
 * @typedef {{
 *   data?: (data: string, event: string) => void,
 *   comment?: (text: string) => void,
 * }} Listener
 */

export class EventParser {
  /** @param {Listener} listener */
  constructor(listener) {
    this.listener = listener;
    this.rest = "";
    this.event = "";
    /** @type {string[]} */
    this.data = [];
  }

  /** @param {string} text What has come since the last call. */
  feed(text) {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.line(line);
  }

  /** @param {string} line */
  line(line) {
    if (line === "") return this.dispatch();
    if (line.startsWith(":")) return this.listener.comment?.(line.slice(1).trim());
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.data.push(value);
    if (name === "event") this.event = value;
  }

  dispatch() {
    const { data, event } = this;
    this.data = [];
    this.event = "";
    if (data.length) this.listener.data?.(data.join("\n"), event);
  }
}
