// @ts-check
// The transcript on the page: turns, the word that is being said, moving by keys, editing.

import { codeOf } from "../data/languages.js";
import { byId } from "../dom.js";
import { TurnElement, UNSURE } from "./turn.js";

/**
 * @typedef {import("../data/transcript.js").Transcript} Transcript
 * @typedef {import("../data/transcript.js").Turn} Turn
 * @typedef {import("../data/transcript.js").Place} Place
 * @typedef {{turn: number, start: number, end: number, element: HTMLElement}} Said
 */

const LINGER_S = 0.4;
const HANDS_OFF_MS = 4000;

/** Says "play" (detail: seconds), "rewrite" (detail: {turn, text}), "speaker" (detail: {turn, button}). */
export class TranscriptView extends EventTarget {
  constructor() {
    super();
    this.root = byId("transcript");
    /** @type {TurnElement[]} */
    this.turns = [];
    /** @type {WeakMap<Turn, TurnElement>} */
    this.made = new WeakMap();
    /** @type {Said[]} In order of their starts. */
    this.said = [];
    /** @type {HTMLElement | null} */
    this.spoken = null;
    /** @type {HTMLElement | null} */
    this.reachable = null;
    this.current = -1;
    this.unsureAt = -1;
    this.handsOff = 0;
    this.root.addEventListener("click", (event) => this.clicked(event));
    this.root.addEventListener("keydown", (event) => this.pressed(event));
    for (const event of ["wheel", "touchmove"]) {
      addEventListener(event, () => (this.handsOff = performance.now() + HANDS_OFF_MS), {
        passive: true,
      });
    }
  }

  /** @param {Transcript} transcript */
  show(transcript) {
    this.root.lang = codeOf(transcript.language);
    this.turns = transcript.turns.map((turn, index) => {
      const element = this.made.get(turn) ?? new TurnElement(turn);
      this.made.set(turn, element);
      element.name(transcript, index);
      return element;
    });
    const wanted = this.turns.map((turn) => turn.root);
    // Elements that stay where they are keep their focus and the reader's place.
    wanted.forEach((root, n) => {
      if (this.root.children[n] !== root)
        this.root.insertBefore(root, this.root.children[n] ?? null);
    });
    while (this.root.children.length > wanted.length) this.root.lastElementChild?.remove();
    this.said = this.turns.flatMap(({ turn, words }, index) =>
      turn.words.map(({ start, end }, n) => ({ turn: index, start, end, element: words[n] })),
    );
    this.said.sort((one, other) => one.start - other.start);
    this.current = -1;
    if (!this.reachable?.isConnected) this.reach(this.turns[0]?.words[0] ?? null);
  }

  /** @param {number} time @param {boolean} isPlaying */
  at(time, isPlaying) {
    const n = this.lastBegun(time);
    const said = n >= 0 && time <= this.said[n].end + LINGER_S ? this.said[n] : null;
    if (said?.element !== this.spoken) {
      this.spoken?.classList.remove("is-spoken");
      said?.element.classList.add("is-spoken");
      this.spoken = said?.element ?? null;
    }
    const turn = n >= 0 ? this.said[n].turn : -1;
    if (turn === this.current) return;
    this.turns[this.current]?.root.classList.remove("is-current");
    this.turns[turn]?.root.classList.add("is-current");
    this.current = turn;
    if (isPlaying && performance.now() > this.handsOff) this.bringIntoView(turn);
  }

  /** @param {number} time @returns {number} */
  lastBegun(time) {
    let [low, high] = [0, this.said.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.said[middle].start <= time + 0.01) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** @param {number} turn */
  bringIntoView(turn) {
    const element = this.turns[turn]?.root;
    if (!element) return;
    const { top, bottom } = element.getBoundingClientRect();
    const floor = innerHeight - byId("dock").offsetHeight - 24;
    if (top < 72 || bottom > floor)
      scrollTo({ top: scrollY + top - 120, behavior: calm() ? "auto" : "smooth" });
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const place = this.placeOf(target);
    if (!place) return;
    const { turn, word } = place;
    if (target.closest(".speaker"))
      this.tell("speaker", { turn, button: target.closest(".speaker") });
    else if (target.closest(".edit")) this.edit(turn);
    else if (target.closest(".stamp")) this.tell("play", this.turns[turn].turn.words[0].start);
    else if (word >= 0 && getSelection()?.isCollapsed !== false) {
      this.focus(this.turns[turn].words[word]);
      this.tell("play", this.turns[turn].turn.words[word].start);
    }
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (!target.classList.contains("w") || event.ctrlKey || event.metaKey || event.altKey) return;
    const place = this.placeOf(target);
    if (!place) return;
    const words = this.turns[place.turn].words;
    if (event.key === "Enter")
      this.tell("play", this.turns[place.turn].turn.words[place.word].start);
    else if (event.key === "ArrowRight")
      this.focus(words[place.word + 1] ?? this.turns[place.turn + 1]?.words[0]);
    else if (event.key === "ArrowLeft")
      this.focus(words[place.word - 1] ?? this.turns[place.turn - 1]?.words.at(-1));
    else if (event.key === "Home") this.focus(words[0]);
    else if (event.key === "End") this.focus(words.at(-1));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {HTMLElement} element @returns {Place | null} */
  placeOf(element) {
    const root = /** @type {HTMLElement | null} */ (element.closest(".turn"));
    if (!root) return null;
    const turn = Number(root.dataset.turn);
    return { turn, word: this.turns[turn].words.indexOf(element) };
  }

  /** @returns {number} The turn that keys act on: the focused one, else the one that is heard. */
  get active() {
    const focused =
      document.activeElement instanceof HTMLElement && this.placeOf(document.activeElement);
    return focused ? focused.turn : Math.max(0, this.current);
  }

  /** @param {number} by */
  step(by) {
    const isInside = this.root.contains(document.activeElement);
    const next = isInside || this.current >= 0 ? this.active + by : 0;
    const turn = this.turns[Math.min(this.turns.length - 1, Math.max(0, next))];
    this.focus(turn?.words[0]);
  }

  /** @param {number} turn */
  edit(turn) {
    this.turns[turn]?.openEditor((text, isByKey) => {
      if (text !== null) this.tell("rewrite", { turn, text });
      // Who has clicked elsewhere wants to be there.
      if (isByKey) this.focus(this.turns[Math.min(turn, this.turns.length - 1)]?.words[0]);
    });
  }

  /** The next uncertain word gets the focus; after the last one, the first. */
  nextUnsure() {
    const isUnsure = (/** @type {Said} */ { element }) => element.classList.contains("unsure");
    const focused = this.said.findIndex(({ element }) => element === document.activeElement);
    const from = (focused >= 0 ? focused : this.unsureAt) + 1;
    const later = this.said.findIndex((said, n) => n >= from && isUnsure(said));
    const next = later >= 0 ? later : this.said.findIndex(isUnsure);
    if (next < 0) return;
    this.unsureAt = next;
    this.focus(this.said[next].element);
    this.tell("seek", this.said[next].start);
  }

  /** @returns {number} */
  get unsureWords() {
    return this.turns.reduce(
      (n, { turn }) => n + turn.words.filter((word) => word.probability < UNSURE).length,
      0,
    );
  }

  /** @param {HTMLElement | undefined} word */
  focus(word) {
    if (!word) return;
    this.reach(word);
    word.focus({ preventScroll: true });
    const { top, bottom } = word.getBoundingClientRect();
    const floor = innerHeight - byId("dock").offsetHeight - 40;
    if (top < 90 || bottom > floor) scrollTo({ top: scrollY + top - innerHeight / 3 });
  }

  /** @param {HTMLElement | null} word One word is in the tab order; arrows lead to the others. */
  reach(word) {
    this.reachable?.removeAttribute("tabindex");
    this.reachable = word;
    word?.setAttribute("tabindex", "0");
  }

  /** @param {string} what @param {any} detail */
  tell(what, detail) {
    this.dispatchEvent(new CustomEvent(what, { detail }));
  }
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
