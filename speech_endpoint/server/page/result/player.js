// @ts-check
// The sound: play, pause, seek, speed; and the clock that everything follows.

import { byId, clock } from "../dom.js";

/** Says "time" (detail: seconds) when the time changes, many times a second while it plays. */
export class Player extends EventTarget {
  constructor() {
    super();
    this.audio = byId("audio", HTMLAudioElement);
    this.seekBar = byId("seek", HTMLInputElement);
    this.speed = byId("speed", HTMLSelectElement);
    this.playButton = byId("play");
    this.duration = 0;
    this.stopAt = Infinity;
    this.url = "";
    this.playButton.addEventListener("click", () => this.toggle());
    byId("back5").addEventListener("click", () => this.skip(-5));
    byId("forward5").addEventListener("click", () => this.skip(5));
    this.seekBar.addEventListener("input", () => this.seek(Number(this.seekBar.value)));
    this.speed.addEventListener("change", () => this.applySpeed());
    for (const event of ["play", "pause", "ended"]) {
      this.audio.addEventListener(event, () => this.shown());
    }
    new ResizeObserver(() => {
      const { offsetHeight } = byId("dock");
      document.documentElement.style.setProperty("--dock", `${offsetHeight}px`);
    }).observe(byId("dock"));
    this.audio.addEventListener("seeked", () => this.tick());
    this.audio.addEventListener("loadedmetadata", () => this.measured());
    this.audio.addEventListener("error", () => this.broken());
  }

  /** @param {Blob | null} blob @param {number} duration seconds */
  load(blob, duration) {
    this.audio.pause();
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = blob ? URL.createObjectURL(blob) : "";
    if (this.url) this.audio.src = this.url;
    else {
      this.audio.removeAttribute("src");
      this.audio.load();
    }
    this.duration = duration;
    this.stopAt = Infinity;
    this.seekBar.max = String(duration);
    byId("length").textContent = clock(duration);
    this.applySpeed();
    this.missing(blob ? "" : "The audio of this transcript is not kept in this browser.");
    this.tick();
  }

  get isPlaying() {
    return !this.audio.paused && !this.audio.ended;
  }

  get time() {
    return this.audio.currentTime;
  }

  /** @param {number} seconds @param {number} [stopAt] */
  playFrom(seconds, stopAt = Infinity) {
    this.seek(seconds);
    this.stopAt = stopAt;
    this.start();
  }

  toggle() {
    this.stopAt = Infinity;
    if (this.isPlaying) this.audio.pause();
    else this.start();
  }

  start() {
    if (!this.url) return;
    // A pause that comes before the sound does is no error of anybody's.
    this.audio.play().catch(() => {});
  }

  /** @param {number} seconds */
  seek(seconds) {
    this.stopAt = Infinity;
    this.audio.currentTime = Math.min(Math.max(0, seconds), this.duration || seconds);
    this.tick();
  }

  /** @param {number} seconds */
  skip(seconds) {
    this.seek(this.time + seconds);
  }

  /** @param {number} steps */
  changeSpeed(steps) {
    const last = this.speed.options.length - 1;
    this.speed.selectedIndex = Math.min(last, Math.max(0, this.speed.selectedIndex + steps));
    this.applySpeed();
  }

  applySpeed() {
    this.audio.defaultPlaybackRate = Number(this.speed.value);
    this.audio.playbackRate = Number(this.speed.value);
  }

  shown() {
    this.playButton.setAttribute("aria-label", this.isPlaying ? "Pause" : "Play");
    this.playButton.classList.toggle("is-playing", this.isPlaying);
    this.dispatchEvent(new CustomEvent("state"));
    if (this.isPlaying) requestAnimationFrame(() => this.frame());
    else this.tick();
  }

  frame() {
    if (!this.isPlaying) return;
    if (this.time >= this.stopAt) this.audio.pause();
    this.tick();
    requestAnimationFrame(() => this.frame());
  }

  tick() {
    this.seekBar.value = String(this.time);
    this.seekBar.setAttribute("aria-valuetext", clock(this.time));
    byId("now").textContent = clock(this.time);
    this.dispatchEvent(new CustomEvent("time", { detail: this.time }));
  }

  measured() {
    // What MediaRecorder writes has no duration; looking for its end makes the browser find it.
    if (this.audio.duration !== Infinity) return;
    this.audio.addEventListener("durationchange", () => this.seek(0), { once: true });
    this.audio.currentTime = Number.MAX_SAFE_INTEGER;
  }

  broken() {
    if (!this.url) return;
    this.missing("This browser cannot play the file. The transcript is complete all the same.");
  }

  /** @param {string} why "" where there is sound */
  missing(why) {
    byId("no-audio").hidden = !why;
    byId("no-audio-text").textContent = why;
    byId("dock").classList.toggle("is-mute", Boolean(why));
  }
}
