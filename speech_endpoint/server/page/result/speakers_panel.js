// @ts-check
// Who they are: names, voices to hear, shares of the time; two that are one.

import { byId, clock, make } from "../dom.js";
import { sample, speakers, speakingTime } from "../data/transcript.js";
import { openMenu } from "../menu.js";
import { chip, shownName } from "./names.js";

/** @typedef {import("../data/transcript.js").Transcript} Transcript */

/** Says "rename" {speaker, name}, "merge" {from, into}, "sample" {start, end}, "remember" {speaker}. */
export class SpeakersPanel extends EventTarget {
  constructor() {
    super();
    this.list = byId("speakers-list");
    this.canRemember = false;
  }

  /** @param {Transcript} transcript @param {boolean} canRemember */
  show(transcript, canRemember) {
    this.canRemember = canRemember;
    const found = speakers(transcript);
    byId("panel-box").hidden = !found.length;
    const times = found.map((speaker) => speakingTime(transcript, speaker));
    const total = times.reduce((sum, time) => sum + time, 0) || 1;
    this.list.replaceChildren(
      ...found.map((speaker, n) => this.row(transcript, speaker, times[n], times[n] / total)),
    );
  }

  /** @param {Transcript} transcript @param {string} speaker @param {number} time @param {number} share */
  row(transcript, speaker, time, share) {
    const name = shownName(transcript, speaker);
    const percent = `${Math.round(share * 100)} %`;
    const input = make("input", {
      class: "name-edit",
      value: name,
      "aria-label": `Name of ${name}`,
      autocomplete: "off",
      spellcheck: "false",
    });
    const give = () => {
      if (input.value.trim() !== name) this.tell("rename", { speaker, name: input.value });
      else input.value = name;
    };
    input.addEventListener("change", give);
    input.addEventListener("focus", () => input.select());
    input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") input.value = name;
      if (event.key === "Enter" || event.key === "Escape") input.blur();
    });
    const play = () => this.tell("sample", sample(transcript, speaker));
    const hear = make(
      "button",
      { class: "icon", "aria-label": `Hear ${name}`, title: "Hear this voice", click: play },
      "▶",
    );
    const others = speakers(transcript).filter((other) => other !== speaker);
    const merge = make(
      "button",
      {
        class: "icon",
        "aria-label": `${name} is somebody else too`,
        title: "Merge with…",
        "aria-haspopup": "menu",
      },
      "⋯",
    );
    merge.addEventListener("click", () => this.openMerge(merge, transcript, speaker, others));
    const keep = make(
      "button",
      {
        class: "icon",
        "aria-label": `Remember the voice of ${name}`,
        title: "Remember this voice",
        click: () => this.tell("remember", { speaker }),
      },
      "☆",
    );
    const bar = make("span", {
      class: `share look-${transcript.letters[speaker] % 8}`,
      "aria-hidden": "true",
    });
    bar.style.setProperty("--share", String(share));
    return make(
      "li",
      { class: "person" },
      chip(transcript, speaker),
      make(
        "div",
        { class: "person-text" },
        input,
        make("span", { class: "person-meta" }, `${percent} · ${clock(time)}`),
        bar,
      ),
      hear,
      ...(this.canRemember ? [keep] : []),
      ...(others.length ? [merge] : []),
    );
  }

  /** @param {HTMLElement} button @param {Transcript} transcript @param {string} from @param {string[]} others */
  openMerge(button, transcript, from, others) {
    openMenu(button, "Merge", [
      { heading: `${shownName(transcript, from)} is the same person as` },
      ...others.map((into) => ({
        label: shownName(transcript, into),
        chip: chip(transcript, into),
        action: () => this.tell("merge", { from, into }),
      })),
    ]);
  }

  /** @param {string} what @param {any} detail */
  tell(what, detail) {
    this.dispatchEvent(new CustomEvent(what, { detail }));
  }
}
