// @ts-check
// The start page: a file comes in, by any way; what is wanted of it.

import { byId, clock, make, size } from "../dom.js";
import { settings } from "../data/store.js";
import { describe } from "../remote/api.js";
import { LANGUAGES } from "../data/languages.js";
import { Recorder } from "./recorder.js";

/** @typedef {import("../remote/api.js").Options} Options */

/** Says "go" (detail: File) when a file is to be transcribed. */
export class Intake extends EventTarget {
  constructor() {
    super();
    this.drop = byId("drop");
    this.picker = byId("file", HTMLInputElement);
    /** @type {File | null} */
    this.file = null;
    /** @type {import("../remote/api.js").Server} */
    this.server = { tellsSpeakers: false, knowsVoices: false, maxBytes: null, maxSeconds: null };
    /** @type {import("../data/store.js").Voice[]} */
    this.known = [];
    this.recorder = new Recorder(
      (file) => this.take(file),
      (problem) => this.problem(problem),
      (isOn) => this.show(isOn ? "recording" : "empty"),
    );
    byId("choose").addEventListener("click", () => this.picker.click());
    byId("record").addEventListener("click", () => this.recorder.start());
    byId("file-drop").addEventListener("click", () => this.clear());
    this.picker.addEventListener(
      "change",
      () => this.picker.files?.[0] && this.take(this.picker.files[0]),
    );
    this.drop.querySelector("form")?.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.file) this.dispatchEvent(new CustomEvent("go", { detail: this.file }));
    });
    this.wireDrop();
    this.wireOptions();
    /** Until then it is not known what the server can do. */
    this.asked = this.ask();
    paintArt();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paintArt);
  }

  wireDrop() {
    const isStart = () => document.body.dataset.view === "start";
    addEventListener("dragover", (event) => {
      event.preventDefault();
      this.drop.classList.toggle("is-over", isStart());
    });
    addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) this.drop.classList.remove("is-over");
    });
    addEventListener("drop", (event) => {
      event.preventDefault();
      this.drop.classList.remove("is-over");
      const file = event.dataTransfer?.files[0];
      if (file && isStart()) this.take(file);
    });
    addEventListener("paste", (event) => {
      const file = event.clipboardData?.files[0];
      if (file && isStart()) this.take(file);
    });
  }

  wireOptions() {
    const language = byId("language", HTMLSelectElement);
    const names = new Intl.DisplayNames([document.documentElement.lang], { type: "language" });
    const all = LANGUAGES.map((code) => ({ code, name: names.of(code) ?? code }));
    all.sort((one, other) => one.name.localeCompare(other.name));
    language.append(...all.map(({ code, name }) => make("option", { value: code }, name)));
    byId("key", HTMLInputElement).value = settings.key;
    byId("remember", HTMLInputElement).checked = settings.remembersKey;
    byId("options").addEventListener("change", () => {
      settings.setKey(
        byId("key", HTMLInputElement).value.trim(),
        byId("remember", HTMLInputElement).checked,
      );
      this.summarise();
    });
    byId("key").addEventListener("change", () => (this.asked = this.ask()));
    byId("fields").addEventListener("submit", (event) => event.preventDefault());
  }

  /** What the server can do; the page shows no choice that has no effect. */
  async ask() {
    this.server = await describe(byId("key", HTMLInputElement).value.trim());
    const { tellsSpeakers, maxBytes, maxSeconds } = this.server;
    byId("speakers-field").hidden = !tellsSpeakers;
    const limits = [
      maxSeconds && `${+(maxSeconds / 3600).toFixed(1)} hours`,
      maxBytes && `${Math.round(maxBytes / 2 ** 20)} MB`,
    ].filter(Boolean);
    if (limits.length) byId("limits").textContent = `up to ${limits.join(" or ")}`;
  }

  /** @returns {Options} */
  get options() {
    return {
      language: byId("language", HTMLSelectElement).value,
      speakers: this.server.tellsSpeakers ? byId("speakers", HTMLSelectElement).value : "",
      keywords: byId("keywords", HTMLInputElement).value,
      translate: byId("translate", HTMLInputElement).checked,
      key: byId("key", HTMLInputElement).value.trim(),
      known: this.server.knowsVoices ? this.known : [],
    };
  }

  summarise() {
    const { language, speakers, translate, keywords } = this.options;
    const text = (/** @type {string} */ id) => byId(id, HTMLSelectElement).selectedOptions[0].text;
    const set = [
      language && text("language"),
      speakers &&
        speakers !== "auto" &&
        (speakers === "off" ? "no speakers" : `${speakers} speaker${speakers === "1" ? "" : "s"}`),
      translate && "into English",
      keywords.trim() && "names",
    ];
    byId("options-summary").textContent = set.filter(Boolean).join(", ");
  }

  /** @param {File} file */
  async take(file) {
    this.problem("");
    if (!file.size) return this.problem(`${file.name} is empty.`);
    if (this.server.maxBytes && file.size > this.server.maxBytes) {
      return this.problem(
        `${file.name} has ${size(file.size)}; this server takes up to ${Math.round(this.server.maxBytes / 2 ** 20)} MB.`,
      );
    }
    this.file = file;
    byId("file-name").textContent = file.name;
    byId("file-meta").textContent = size(file.size);
    this.show("file");
    byId("go").focus();
    const length = await lengthOf(file);
    if (this.file === file && length)
      byId("file-meta").textContent = `${clock(length)} · ${size(file.size)}`;
  }

  clear() {
    this.file = null;
    this.picker.value = "";
    this.problem("");
    this.show("empty");
  }

  /** @param {"empty" | "file" | "recording"} state */
  show(state) {
    for (const each of ["empty", "file", "recording"]) {
      const part = /** @type {HTMLElement} */ (this.drop.querySelector(`.drop-${each}`));
      part.hidden = each !== state;
    }
  }

  /** @param {string} text "" for none */
  problem(text) {
    byId("start-problem").hidden = !text;
    byId("start-problem").textContent = text;
  }
}

/** @param {File} file @returns {Promise<number>} Seconds; 0 where the browser cannot tell. */
function lengthOf(file) {
  const probe = new Audio();
  const url = URL.createObjectURL(file);
  return new Promise((resolve) => {
    const done = () => {
      URL.revokeObjectURL(url);
      resolve(Number.isFinite(probe.duration) ? probe.duration : 0);
    };
    probe.preload = "metadata";
    probe.onloadedmetadata = probe.onerror = done;
    probe.src = url;
  });
}

/** Two who talk in turn: what the page makes of a recording. */
function paintArt() {
  const canvas = byId("drop-art", HTMLCanvasElement);
  const context = canvas.getContext("2d");
  if (!context) return;
  const style = getComputedStyle(canvas);
  const turns = [0, 0, 1, 1, 1, 0, 1, 1, 0, 0, 0, 1];
  const middle = canvas.height / 2;
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (let x = 0, n = 0; x < canvas.width; x += 10, n++) {
    const speaker = turns[Math.floor((n / 64) * turns.length) % turns.length];
    const swell = Math.abs(Math.sin(n * 0.9) * Math.sin(n * 0.37 + 1) * Math.cos(n * 0.11));
    const height =
      8 + swell * (canvas.height - 12) * (0.35 + 0.65 * Math.sin((Math.PI * x) / canvas.width));
    context.fillStyle = style.getPropertyValue(`--speaker-${speaker}`);
    context.beginPath();
    context.roundRect(x + 2, middle - height / 2, 5, height, 2.5);
    context.fill();
  }
}
