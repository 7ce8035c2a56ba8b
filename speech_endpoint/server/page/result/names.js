// @ts-check
// What a speaker is called on the page, and the chip that stands for them.

import { make } from "../dom.js";
import { letter } from "../data/transcript.js";

/** @typedef {import("../data/transcript.js").Transcript} Transcript */

/** @param {Transcript} transcript @param {string} speaker @returns {string} */
export function shownName(transcript, speaker) {
  const name = transcript.names[speaker];
  const isUnnamed = /^(SPEAKER_\d+|[A-Z]{1,2})$/.test(name);
  return isUnnamed ? `Speaker ${letter(transcript.letters[speaker])}` : name;
}

/** @param {Transcript} transcript @param {string} speaker @returns {HTMLElement} */
export function chip(transcript, speaker) {
  const number = transcript.letters[speaker];
  return make("span", { class: `chip look-${number % 8}`, "aria-hidden": "true" }, letter(number));
}
