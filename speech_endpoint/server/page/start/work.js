// @ts-check
// A transcription under way: how far it is, what is said so far, and how to stop it.

import { byId, clock, roughly } from "../dom.js";
import { transcribe } from "../remote/api.js";
import { ApiError, Cancelled } from "../remote/errors.js";

/**
 * @typedef {import("../remote/api.js").Options} Options
 * @typedef {import("../remote/api.js").Progress} Progress
 */

const MAX_RATES = 12;

/** Says "done" {file, answer}, "cancelled", "back". */
export class Work extends EventTarget {
  constructor() {
    super();
    this.bar = byId("work-bar", HTMLProgressElement);
    this.live = byId("live");
    /** @type {File | null} */
    this.file = null;
    /** @type {Options | null} */
    this.options = null;
    /** @type {[number, number][]} When, and how far it was: milliseconds, seconds of the recording. */
    this.reports = [];
    /** @type {(() => void) | null} */
    this.cancel = null;
    this.paragraph = "";
    byId("cancel").addEventListener("click", () => this.cancel?.());
    byId("retry").addEventListener("click", () => this.dispatchEvent(new CustomEvent("retry")));
    byId("back").addEventListener("click", () => this.dispatchEvent(new CustomEvent("back")));
  }

  get isBusy() {
    return this.cancel !== null;
  }

  /** @param {File} file @param {Options} options */
  async start(file, options) {
    this.file = file;
    this.options = options;
    this.reset(file);
    const job = transcribe(file, options, {
      upload: (share) => this.uploaded(share),
      progress: (progress) => this.progressed(progress),
      text: (delta) => this.said(delta),
      waiting: (error, seconds) => this.waits(error, seconds),
    });
    this.cancel = job.cancel;
    try {
      const answer = await job.answer;
      this.cancel = null;
      this.dispatchEvent(new CustomEvent("done", { detail: { file, answer } }));
    } catch (error) {
      this.cancel = null;
      if (error instanceof Cancelled) this.dispatchEvent(new CustomEvent("cancelled"));
      else
        this.failed(
          error instanceof ApiError
            ? error
            : new ApiError(0, "Something went wrong in this page", String(error)),
        );
    }
  }

  /** @param {File} file */
  reset(file) {
    byId("work").classList.remove("has-failed");
    byId("work-title").textContent = file.name;
    byId("work-error").hidden = true;
    byId("work-left").textContent = "";
    this.bar.hidden = false;
    byId("cancel").hidden = false;
    this.live.replaceChildren();
    this.paragraph = "";
    this.reports = [];
    this.stage("Sending the file");
    this.bar.removeAttribute("value");
  }

  /** @param {string} text */
  stage(text) {
    const line = byId("work-stage");
    if (line.textContent !== text) line.textContent = text;
  }

  /** @param {number} share */
  uploaded(share) {
    this.bar.value = share;
    if (share < 1) return byId("work-left").replaceChildren(`${Math.round(share * 100)} % sent`);
    this.stage("Listening");
    this.bar.removeAttribute("value");
    byId("work-left").textContent = "";
  }

  /** @param {Progress} progress */
  progressed({ done_s: done, duration_s: duration, queue_s: queue }) {
    if (queue > 1 && !done) {
      this.stage("Waiting for a free place");
      byId("work-left").textContent = roughly(queue);
      return;
    }
    if (!duration) return this.stage("Reading the recording");
    if (done >= duration - 0.05) {
      const { speakers = "" } = this.options ?? {};
      this.stage(["", "off"].includes(speakers) ? "Finishing" : "Finding out who spoke");
      this.bar.removeAttribute("value");
      byId("work-left").textContent = "";
      return;
    }
    this.stage("Transcribing");
    this.bar.value = done / duration;
    const left = this.left(done, duration);
    const time = `${clock(done)} of ${clock(duration)}`;
    byId("work-left").textContent = left ? `${time} · ${left} left` : time;
  }

  /** @param {number} done @param {number} duration @returns {string} By the pace of the last reports. */
  left(done, duration) {
    const last = this.reports.at(-1);
    if (!last || done > last[1]) this.reports.push([performance.now(), done]);
    if (this.reports.length > MAX_RATES) this.reports.shift();
    const [first, now] = [this.reports[0], performance.now()];
    const pace = (done - first[1]) / ((now - first[0]) / 1000);
    return this.reports.length > 2 && pace > 0 ? roughly((duration - done) / pace) : "";
  }

  /** @param {string} delta */
  said(delta) {
    const isAtEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 80;
    const words = document.createElement("span");
    words.className = "fresh";
    words.textContent = delta;
    const isNew =
      !this.live.lastElementChild ||
      (this.paragraph.length > 400 && /[.?!。？！]\s*$/.test(this.paragraph));
    if (isNew) {
      const paragraph = document.createElement("p");
      paragraph.dir = "auto";
      this.live.append(paragraph);
      this.paragraph = "";
    }
    this.paragraph += delta;
    this.live.lastElementChild?.append(words);
    if (isAtEnd) scrollTo({ top: document.documentElement.scrollHeight });
  }

  /** @param {ApiError} error @param {number} seconds */
  waits(error, seconds) {
    this.stage(`${error.title}. Your file is kept, and sent again by itself.`);
    this.bar.removeAttribute("value");
    byId("work-left").textContent = `Next try in ${clock(seconds)}`;
    this.live.replaceChildren();
  }

  /** @param {ApiError} error */
  failed(error) {
    byId("work").classList.add("has-failed");
    this.bar.hidden = true;
    byId("cancel").hidden = true;
    byId("work-left").textContent = "";
    byId("work-stage").textContent = "";
    byId("error-title").textContent = error.title;
    byId("error-text").textContent = error.message;
    const isKey = error.status === 401;
    const isHopeless = isKey || [400, 413, 415, 422].includes(error.status);
    byId("retry").hidden = isHopeless;
    byId("back").className = isHopeless ? "solid" : "quiet";
    byId("back").textContent = isKey ? "To the options" : isHopeless ? "Choose another" : "Back";
    byId("work-error").hidden = false;
  }
}
