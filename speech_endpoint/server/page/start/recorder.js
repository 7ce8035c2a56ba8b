// @ts-check
// The microphone: a file in the end, and its loudness meanwhile.

import { byId, clock } from "../dom.js";

const BAR_PX = 6;

export class Recorder {
  /**
   * @param {(file: File) => void} done
   * @param {(problem: string) => void} failed
   * @param {(isOn: boolean) => void} changed
   */
  constructor(done, failed, changed) {
    this.done = done;
    this.failed = failed;
    this.changed = changed;
    /** @type {MediaRecorder | null} */
    this.recorder = null;
    /** @type {number[]} */
    this.levels = [];
    this.isKept = false;
    byId("record-stop").addEventListener("click", () => this.stop(true));
    byId("record-discard").addEventListener("click", () => this.stop(false));
  }

  async start() {
    this.failed("");
    if (!navigator.mediaDevices)
      return this.failed(
        "Browsers record only on pages that are served over https, or on this machine.",
      );
    /** @type {MediaStream} */
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, autoGainControl: true },
      });
    } catch (error) {
      const isDenied = error instanceof DOMException && error.name === "NotAllowedError";
      return this.failed(
        isDenied
          ? "The browser has no permission to use the microphone."
          : "No microphone was found.",
      );
    }
    /** @type {Blob[]} */
    const parts = [];
    const recorder = new MediaRecorder(stream);
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(stream).connect(analyser);
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.onstop = () => {
      stream.getTracks().forEach((track) => track.stop());
      context.close();
      this.recorder = null;
      this.changed(false);
      if (this.isKept) this.done(fileOf(parts, recorder.mimeType));
    };
    this.recorder = recorder;
    this.levels = [];
    recorder.start(1000);
    this.changed(true);
    byId("record-stop").focus();
    this.follow(analyser, performance.now());
  }

  /** @param {boolean} isKept */
  stop(isKept) {
    this.isKept = isKept;
    this.recorder?.stop();
  }

  /** @param {AnalyserNode} analyser @param {number} began */
  follow(analyser, began) {
    if (!this.recorder) return;
    const samples = new Float32Array(analyser.fftSize);
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    this.levels.push(Math.min(1, Math.sqrt(power) * 5));
    byId("recorded").textContent = clock((performance.now() - began) / 1000);
    this.paint();
    setTimeout(() => this.follow(analyser, began), 60);
  }

  paint() {
    const canvas = byId("level", HTMLCanvasElement);
    const context = canvas.getContext("2d");
    if (!context) return;
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = getComputedStyle(canvas).color;
    const shown = this.levels.slice(-Math.floor(canvas.width / BAR_PX));
    shown.forEach((level, n) => {
      const height = Math.max(3, level * canvas.height);
      const x = canvas.width - (shown.length - n) * BAR_PX;
      context.fillRect(x, (canvas.height - height) / 2, 3, height);
    });
  }
}

/** @param {Blob[]} parts @param {string} type @returns {File} */
function fileOf(parts, type) {
  const ending = type.includes("mp4") ? "m4a" : type.includes("ogg") ? "ogg" : "webm";
  const now = new Date();
  const pad = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const day = `${now.getFullYear()}-${pad(now.getMonth() + 1)}-${pad(now.getDate())}`;
  const name = `Recording ${day} ${pad(now.getHours())}.${pad(now.getMinutes())}.${ending}`;
  return new File(parts, name, { type: type.split(";")[0] });
}
