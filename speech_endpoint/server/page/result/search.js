// @ts-check
// Words that are looked for: marked in the text and on the timeline.

import { byId } from "../dom.js";

/**
 * @typedef {import("./transcript_view.js").TranscriptView} TranscriptView
 * @typedef {import("./timeline.js").Timeline} Timeline
 * @typedef {{start: number, words: HTMLElement[]}} Hit
 */

export class Search {
  /** @param {TranscriptView} view @param {Timeline} timeline */
  constructor(view, timeline) {
    this.view = view;
    this.timeline = timeline;
    this.query = byId("query", HTMLInputElement);
    /** @type {Hit[]} */
    this.hits = [];
    this.at = -1;
    this.query.addEventListener("input", () => this.look());
    this.query.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.clear();
      else if (event.key === "Enter" && event.shiftKey) this.go(-1);
      else return;
      event.preventDefault();
    });
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.go(1);
    });
    byId("hit-previous").addEventListener("click", () => this.go(-1));
  }

  clear() {
    this.query.value = "";
    this.look();
    this.query.blur();
  }

  /** The transcript or the query has changed. */
  look() {
    for (const { words } of this.hits)
      words.forEach((word) => word.classList.remove("hit", "is-hit"));
    const wanted = plain(this.query.value.trim());
    this.hits = wanted ? this.view.turns.flatMap((turn) => hitsIn(turn, wanted)) : [];
    for (const { words } of this.hits) words.forEach((word) => word.classList.add("hit"));
    this.timeline.mark(this.hits.map((hit) => hit.start));
    this.at = -1;
    for (const id of ["hit-previous", "hit-next"]) byId(id).hidden = !this.hits.length;
    this.told();
  }

  /** @param {number} by */
  go(by) {
    if (!this.hits.length) return;
    this.hits[this.at]?.words.forEach((word) => word.classList.remove("is-hit"));
    const from = this.at < 0 && by < 0 ? 0 : this.at;
    this.at = (from + by + this.hits.length) % this.hits.length;
    const { words, start } = this.hits[this.at];
    words.forEach((word) => word.classList.add("is-hit"));
    words[0].scrollIntoView({ block: "center" });
    this.view.reach(words[0]);
    this.view.tell("seek", start);
    this.told();
  }

  told() {
    const { length } = this.hits;
    const where = this.at < 0 ? String(length) : `${this.at + 1}/${length}`;
    byId("hits").textContent = this.query.value.trim() ? (length ? where : "none") : "";
  }
}

/** @param {string} text @returns {string} Without case and accents. */
const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/** @param {import("./turn.js").TurnElement} turn @param {string} wanted @returns {Hit[]} */
function hitsIn({ turn, words }, wanted) {
  const texts = turn.words.map((word) => plain(word.text));
  const text = texts.join("");
  /** @type {Hit[]} */
  const found = [];
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
    let [from, place] = [0, 0];
    while (place + texts[from].length <= at) place += texts[from++].length;
    let to = from;
    while (to < texts.length && place < at + wanted.length) place += texts[to++].length;
    found.push({ start: turn.words[from].start, words: words.slice(from, to) });
  }
  return found;
}
