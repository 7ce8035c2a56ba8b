// @ts-check
// The transcript that is open: what it is now, and what it was before.

import { newId } from "./store.js";

/**
 * @typedef {import("./transcript.js").Transcript} Transcript
 * @typedef {import("./answer.js").Peaks} Peaks
 * @typedef {{
 *   id: string, title: string, savedAt: number, transcript: Transcript, peaks: Peaks | null,
 *   bytes: number, hasAudio: boolean, warnings: string[],
 * }} Saved
 */

const MAX_UNDO = 200;

/** Says "change" after each change; `event.detail` is what was done, in words. */
export class Session extends EventTarget {
  /** @param {Saved} saved @param {Blob | null} audio */
  constructor(saved, audio) {
    super();
    this.saved = saved;
    this.audio = audio;
    /** @type {Transcript[]} */
    this.past = [];
  }

  /**
   * A session for an answer that has just come.
   * @param {string} title
   * @param {Transcript} transcript
   * @param {Peaks | null} peaks
   * @param {File} file
   * @param {string[]} warnings
   */
  static of(title, transcript, peaks, file, warnings) {
    const saved = {
      id: newId(),
      title,
      savedAt: Date.now(),
      transcript,
      peaks,
      bytes: file.size,
      hasAudio: false,
      warnings,
    };
    return new Session(saved, file);
  }

  get transcript() {
    return this.saved.transcript;
  }

  /** @param {Transcript} next @param {string} what */
  change(next, what) {
    if (next === this.transcript) return;
    this.past.push(this.transcript);
    if (this.past.length > MAX_UNDO) this.past.shift();
    this.become(next, what);
  }

  undo() {
    const before = this.past.pop();
    if (before) this.become(before, "Undone");
  }

  /** @param {string} title */
  rename(title) {
    this.saved = { ...this.saved, title };
    this.dispatchEvent(new CustomEvent("saved"));
  }

  /** @param {Transcript} transcript @param {string} what */
  become(transcript, what) {
    this.saved = { ...this.saved, transcript, savedAt: Date.now() };
    this.dispatchEvent(new CustomEvent("change", { detail: what }));
    this.dispatchEvent(new CustomEvent("saved"));
  }
}
