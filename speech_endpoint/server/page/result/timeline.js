// @ts-check
// The recording at a glance: its outline, a lane for each speaker, hits of a search, where we are.
// One canvas of the visible part, redrawn as it scrolls: a long meeting has thousands of turns.

import { byId, clock, make } from "../dom.js";
import { endOf, letter, speakers, startOf } from "../data/transcript.js";
import { look } from "./looks.js";

/**
 * @typedef {import("../data/transcript.js").Transcript} Transcript
 * @typedef {import("../data/answer.js").Peaks} Peaks
 */

const WAVE_HEIGHT = 52;
const LANE_HEIGHT = 16;
const AXIS_HEIGHT = 18;
const MIN_TICK_PX = 84;
const TICKS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
const MAX_ZOOM_PX_PER_S = 200;

/** Says "seek" (detail: seconds) when somebody points at a time. */
export class Timeline extends EventTarget {
  constructor() {
    super();
    this.scroller = byId("scroller");
    this.sheet = byId("sheet");
    this.canvas = byId("canvas", HTMLCanvasElement);
    this.duration = 1;
    this.zoom = 1;
    this.time = 0;
    /** @type {Peaks | null} */
    this.peaks = null;
    /** @type {number[]} */
    this.hits = [];
    this.loudest = 127;
    /** @type {{speaker: string, number: number, turns: [number, number, boolean][]}[]} */
    this.lanes = [];
    this.isDue = false;
    new ResizeObserver(() => this.resized()).observe(this.scroller);
    this.scroller.addEventListener("scroll", () => this.draw(), { passive: true });
    this.scroller.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
    this.canvas.addEventListener("pointerdown", (event) => this.pointed(event));
    this.canvas.addEventListener(
      "pointermove",
      (event) => event.buttons & 1 && this.pointed(event),
    );
    byId("zoom-in").addEventListener("click", () => this.zoomTo(this.zoom * 2, this.time));
    byId("zoom-out").addEventListener("click", () => this.zoomTo(this.zoom / 2, this.time));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** @param {Transcript} transcript @param {Peaks | null} peaks */
  show(transcript, peaks) {
    this.peaks = peaks;
    // A quiet recording is drawn as large as a loud one.
    this.loudest = Math.max(
      12,
      peaks?.values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) ?? 0,
    );
    this.duration = Math.max(transcript.duration, ...transcript.turns.slice(-1).map(endOf), 0.1);
    this.lanes = speakers(transcript).map((speaker) => ({
      speaker,
      number: transcript.letters[speaker],
      turns: transcript.turns
        .filter((turn) => turn.speaker === speaker)
        .map((turn) => [startOf(turn), endOf(turn), turn.overlap]),
    }));
    byId("lane-names").replaceChildren(
      ...this.lanes.map(({ number }) =>
        make("span", { class: `chip small look-${number % 8}` }, letter(number)),
      ),
    );
    byId("timeline").classList.toggle("has-lanes", this.lanes.length > 0);
    this.resized();
  }

  get height() {
    return WAVE_HEIGHT + this.lanes.length * LANE_HEIGHT + 4 + AXIS_HEIGHT;
  }

  get pxPerSecond() {
    return (this.scroller.clientWidth * this.zoom) / this.duration;
  }

  /** @returns {[number, number, number]} Where it begins, how wide it is, pixels in a second. */
  get visible() {
    return [this.scroller.scrollLeft, this.scroller.clientWidth, this.pxPerSecond];
  }

  resized() {
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(this.scroller.clientWidth * ratio));
    this.canvas.height = Math.round(this.height * ratio);
    this.canvas.style.width = `${this.scroller.clientWidth}px`;
    this.canvas.style.height = `${this.height}px`;
    this.sheet.style.width = `${Math.max(100, 100 * this.zoom)}%`;
    this.sheet.style.height = `${this.height}px`;
    this.draw();
  }

  /** @param {number} zoom 1 shows the whole recording @param {number} about stays where it is */
  zoomTo(zoom, about) {
    const before = about * this.pxPerSecond - this.scroller.scrollLeft;
    const most = Math.max(
      1,
      (MAX_ZOOM_PX_PER_S * this.duration) / Math.max(1, this.scroller.clientWidth),
    );
    this.zoom = Math.min(Math.max(1, zoom), most);
    const isInside = before >= 0 && before <= this.scroller.clientWidth;
    this.resized();
    this.scroller.scrollLeft =
      about * this.pxPerSecond - (isInside ? before : this.scroller.clientWidth / 2);
    this.draw();
  }

  /** @param {WheelEvent} event */
  wheeled(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoomTo(this.zoom * Math.exp(-event.deltaY / 200), this.timeAt(event));
  }

  /** @param {PointerEvent} event */
  pointed(event) {
    if (event.button > 0) return;
    this.dispatchEvent(new CustomEvent("seek", { detail: this.timeAt(event) }));
  }

  /** @param {MouseEvent} event @returns {number} */
  timeAt(event) {
    const x = event.clientX - this.scroller.getBoundingClientRect().left + this.scroller.scrollLeft;
    return Math.min(this.duration, Math.max(0, x / this.pxPerSecond));
  }

  /** @param {number} time @param {boolean} isPlaying */
  at(time, isPlaying) {
    this.time = time;
    const x = time * this.pxPerSecond - this.scroller.scrollLeft;
    const width = this.scroller.clientWidth;
    if (isPlaying && this.zoom > 1 && (x < 0 || x > width * 0.9)) {
      this.scroller.scrollLeft = time * this.pxPerSecond - width * 0.1;
    }
    this.draw();
  }

  /** @param {number[]} times */
  mark(times) {
    this.hits = times;
    this.draw();
  }

  draw() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.paint();
    });
  }

  paint() {
    const context = this.canvas.getContext("2d");
    if (!context || !this.canvas.width) return;
    const ratio = devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.scroller.clientWidth, this.height);
    const style = getComputedStyle(this.canvas);
    this.paintWave(context, style);
    this.lanes.forEach((lane, n) => this.paintLane(context, style, lane, n));
    this.paintAxis(context, style);
    this.paintMarks(context, style);
  }

  /** @param {CanvasRenderingContext2D} context @param {CSSStyleDeclaration} style */
  paintWave(context, style) {
    const middle = WAVE_HEIGHT / 2;
    const [left, width, scale] = this.visible;
    const [played, waiting] = [
      style.getPropertyValue("--wave-played"),
      style.getPropertyValue("--wave"),
    ];
    for (let x = 0; x < width; x += 3) {
      const [from, to] = [(left + x) / scale, (left + x + 3) / scale];
      const [low, high] = this.extremes(from, to);
      const top = middle - high * (middle - 3);
      const bottom = middle - low * (middle - 3);
      context.fillStyle = from < this.time ? played : waiting;
      context.beginPath();
      context.roundRect(x, top, 2, Math.max(1.5, bottom - top), 1);
      context.fill();
    }
  }

  /** @param {number} from @param {number} to @returns {[number, number]} -1 to 1 */
  extremes(from, to) {
    if (!this.peaks) return [0, 0];
    const { perSecond, values } = this.peaks;
    const first = Math.floor(from * perSecond);
    const last = Math.max(first + 1, Math.ceil(to * perSecond));
    let [low, high] = [0, 0];
    for (let n = first; n < last && 2 * n + 1 < values.length; n++) {
      low = Math.min(low, values[2 * n]);
      high = Math.max(high, values[2 * n + 1]);
    }
    // Quiet speech is speech: the square root lifts it.
    return [
      -Math.sqrt(Math.max(0, -low) / this.loudest),
      Math.sqrt(Math.max(0, high) / this.loudest),
    ];
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {CSSStyleDeclaration} style
   * @param {{number: number, turns: [number, number, boolean][]}} lane
   * @param {number} n
   */
  paintLane(context, style, lane, n) {
    const y = WAVE_HEIGHT + 4 + n * LANE_HEIGHT;
    const [left, width, scale] = this.visible;
    context.fillStyle = style.getPropertyValue("--lane");
    context.fillRect(0, y + LANE_HEIGHT / 2 - 0.5, width, 1);
    context.fillStyle = look(context, style, lane.number);
    context.beginPath();
    for (const [start, end] of lane.turns) {
      const x = start * scale - left;
      const length = Math.max(2, (end - start) * scale);
      if (x > width || x + length < 0) continue;
      context.roundRect(x, y + 2, length, LANE_HEIGHT - 4, Math.min(3, length / 2));
    }
    context.fill();
  }

  /** @param {CanvasRenderingContext2D} context @param {CSSStyleDeclaration} style */
  paintAxis(context, style) {
    const [left, width, scale] = this.visible;
    const step = TICKS_S.find((seconds) => seconds * scale >= MIN_TICK_PX) ?? 14400;
    context.font = `11px ${style.fontFamily}`;
    context.fillStyle = style.getPropertyValue("--muted");
    for (
      let time = Math.floor(left / scale / step) * step;
      time * scale < left + width;
      time += step
    ) {
      const x = Math.round(time * scale - left);
      context.fillRect(x, this.height - AXIS_HEIGHT + 3, 1, 4);
      context.fillText(clock(time), x + 4, this.height - 4);
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {CSSStyleDeclaration} style */
  paintMarks(context, style) {
    const [left, , scale] = this.visible;
    context.fillStyle = style.getPropertyValue("--marker");
    for (const time of this.hits) context.fillRect(time * scale - left - 1, 0, 3, WAVE_HEIGHT);
    const x = Math.round(this.time * scale - left);
    context.fillStyle = style.getPropertyValue("--ink");
    context.fillRect(x - 0.75, 0, 1.5, this.height - AXIS_HEIGHT);
    context.beginPath();
    context.arc(x, 3, 3, 0, 2 * Math.PI);
    context.fill();
  }
}
