// @ts-check
// One turn on the page: who, when, and words to click on.

import { clock, make } from "../dom.js";
import { startOf, textOf } from "../data/transcript.js";
import { chip, shownName } from "./names.js";

/**
 * @typedef {import("../data/transcript.js").Transcript} Transcript
 * @typedef {import("../data/transcript.js").Turn} Turn
 */

export const UNSURE = 0.5;

export class TurnElement {
  /** @param {Turn} turn */
  constructor(turn) {
    this.turn = turn;
    this.words = turn.words.map((word) =>
      make("span", { class: word.probability < UNSURE ? "w unsure" : "w" }, word.text.trim()),
    );
    this.said = make("p", { class: "said", dir: "auto" });
    turn.words.forEach((word, n) => {
      const blank = /^\s/.test(word.text) && n ? " " : "";
      this.said.append(blank, this.words[n]);
      if (/\s$/.test(word.text)) this.said.append(" ");
    });
    this.who = make("div", { class: "who" });
    const label = `Edit the turn at ${clock(startOf(turn))}`;
    this.edit = make("button", { class: "edit", "aria-label": label, title: "Edit (E)" }, pen());
    this.root = make("article", { class: "turn" }, this.who, this.said, this.edit);
  }

  /** @param {Transcript} transcript @param {number} index Its names and its place may have changed. */
  name(transcript, index) {
    const { speaker } = this.turn;
    const start = clock(startOf(this.turn));
    const stamp = make("button", { class: "stamp", "aria-label": `Play from ${start}` }, start);
    this.root.dataset.turn = String(index);
    if (speaker === null) {
      this.who.replaceChildren(stamp);
      this.root.setAttribute("aria-label", start);
      return;
    }
    const name = shownName(transcript, speaker);
    const button = make(
      "button",
      { class: "speaker", "aria-haspopup": "menu", title: "Somebody else?" },
      chip(transcript, speaker),
      make("span", { class: "name" }, name),
      make("span", { class: "sr-only" }, ": somebody else said this"),
    );
    const overlap = this.turn.overlap
      ? [
          make(
            "span",
            { class: "overlap", title: "Somebody else speaks at the same time" },
            "overlap",
          ),
        ]
      : [];
    this.root.setAttribute("aria-label", `${name}, ${start}`);
    this.root.dataset.look = String(transcript.letters[speaker] % 8);
    this.who.replaceChildren(button, make("span", { class: "when" }, stamp, ...overlap));
  }

  /**
   * @param {(text: string | null, isByKey: boolean) => void} done
   *   with the text, or null where it is left as it was; whether a key ended it
   */
  openEditor(done) {
    if (this.root.classList.contains("is-edited")) return;
    const field = make("textarea", {
      class: "said-edit",
      dir: "auto",
      rows: "1",
      "aria-label": "Text of the turn",
      spellcheck: "true",
    });
    field.value = textOf(this.turn);
    const fit = () => {
      field.style.height = "auto";
      field.style.height = `${field.scrollHeight}px`;
    };
    const finish = (/** @type {string | null} */ text, isByKey = true) => {
      if (!this.root.classList.contains("is-edited")) return;
      this.root.classList.remove("is-edited");
      field.replaceWith(this.said);
      done(text, isByKey);
    };
    field.addEventListener("input", fit);
    field.addEventListener("blur", () => finish(field.value, false));
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.isComposing) finish(field.value);
      else if (event.key === "Escape") finish(null);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    this.root.classList.add("is-edited");
    this.said.replaceWith(field);
    fit();
    field.focus();
    field.setSelectionRange(0, 0);
  }
}

/** @returns {SVGElement} */
function pen() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("width", "16");
  svg.setAttribute("height", "16");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", "M4 16l.8-3.4L13.4 4l2.6 2.6-8.6 8.6zM11.6 5.8l2.6 2.6");
  path.setAttribute("fill", "none");
  path.setAttribute("stroke", "currentColor");
  path.setAttribute("stroke-width", "1.5");
  path.setAttribute("stroke-linejoin", "round");
  svg.append(path);
  return svg;
}
