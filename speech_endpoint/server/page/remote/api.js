// @ts-check
// The public API, as any client uses it; nothing here is the page's own.

import { ApiError, brokenOff, Cancelled, refused, unreachable } from "./errors.js";
import { EventParser } from "./sse.js";

/**
 * @typedef {import("../data/store.js").Voice} Voice
 * @typedef {{language: string, speakers: string, keywords: string, translate: boolean, key: string, known: Voice[]}} Options
 * @typedef {{done_s: number, duration_s: number | null, queue_s: number}} Progress
 * @typedef {{
 *   upload: (share: number) => void,
 *   progress: (progress: Progress) => void,
 *   text: (delta: string) => void,
 *   waiting: (error: ApiError, seconds: number) => void,
 * }} Watcher
 * @typedef {{tellsSpeakers: boolean, knowsVoices: boolean, maxBytes: number | null, maxSeconds: number | null}} Server
 */

const MAX_TRIES = 30;

/**
 * Transcribe a file; where the server is busy or starting, wait as long as it says.
 * @param {File} file
 * @param {Options} options
 * @param {Watcher} watch
 * @returns {{answer: Promise<any>, cancel: () => void}}
 */
export function transcribe(file, options, watch) {
  const abort = new AbortController();
  const answer = (async () => {
    for (let tries = 1; ; tries++) {
      try {
        return await attempt(file, options, watch, abort.signal);
      } catch (error) {
        if (!(error instanceof ApiError) || error.retryAfter === null || tries === MAX_TRIES)
          throw error;
        await waited(error, watch, abort.signal);
      }
    }
  })();
  return { answer, cancel: () => abort.abort() };
}

/** @param {string} key @returns {Promise<Server>} What the server can do; nothing if it does not say. */
export async function describe(key) {
  const limits = await get("v1/limits", key);
  return {
    tellsSpeakers: Boolean(limits?.diarization),
    knowsVoices: Boolean(limits?.known_speakers),
    maxBytes: limits?.max_file_bytes ?? null,
    maxSeconds: limits?.max_audio_s ?? null,
  };
}

/**
 * Have a voiceprint made of a part of a recording.
 * @param {Blob} audio
 * @param {{start: number, end: number}} part seconds
 * @param {string} key
 * @returns {Promise<string>}
 */
export async function voiceprint(audio, part, key) {
  const fields = new FormData();
  fields.append("start", String(part.start));
  fields.append("end", String(part.end));
  fields.append("file", audio, "recording");
  const request = { method: "POST", body: fields, headers: authorization(key) };
  const answer = await fetch("v1/audio/voiceprints", request).catch(() => {
    throw unreachable();
  });
  const text = await answer.text();
  if (!answer.ok) throw refused(answer.status, text, answer.headers.get("Retry-After"));
  return JSON.parse(text).voiceprint;
}

/** @param {string} path @param {string} key @returns {Promise<any>} */
async function get(path, key) {
  try {
    const answer = await fetch(path, { headers: authorization(key) });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

/** @param {string} key @returns {Record<string, string>} */
const authorization = (key) => (key ? { Authorization: `Bearer ${key}` } : {});

/** @param {File} file @param {Options} options @returns {FormData} */
function form(file, options) {
  const fields = new FormData();
  fields.append("model", "whisper-1");
  fields.append("response_format", "verbose_json");
  fields.append("stream", "true");
  for (const granularity of ["word", "segment"])
    fields.append("timestamp_granularities[]", granularity);
  for (const extra of ["speakers", "waveform"]) fields.append("include[]", extra);
  if (options.speakers) fields.append("diarize", String(options.speakers !== "off"));
  if (/^\d+$/.test(options.speakers)) fields.append("num_speakers", options.speakers);
  if (options.language) fields.append("language", options.language);
  if (options.translate) fields.append("task", "translate");
  for (const keyword of options.keywords.split(/[,\n]/)) {
    if (keyword.trim()) fields.append("keywords[]", keyword.trim());
  }
  for (const { name, voiceprint } of options.speakers === "off" ? [] : options.known) {
    fields.append("known_speaker_names[]", name);
    fields.append("known_speaker_references[]", voiceprint);
  }
  fields.append("file", file, file.name);
  return fields;
}

/**
 * One request. XMLHttpRequest, not fetch: it tells how much has been sent.
 * @param {File} file
 * @param {Options} options
 * @param {Watcher} watch
 * @param {AbortSignal} signal
 * @returns {Promise<any>}
 */
function attempt(file, options, watch, signal) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new Cancelled());
    const request = new XMLHttpRequest();
    const reader = new AnswerReader(watch);
    const isStream = () =>
      (request.getResponseHeader("Content-Type") ?? "").startsWith("text/event-stream");
    request.open("POST", "v1/audio/transcriptions");
    for (const [name, value] of Object.entries(authorization(options.key)))
      request.setRequestHeader(name, value);
    request.upload.onprogress = (event) =>
      watch.upload(event.total ? event.loaded / event.total : 0);
    request.onprogress = () => {
      if (request.status === 200 && isStream()) reader.read(request.responseText);
    };
    request.onload = () => {
      if (request.status !== 200) {
        return reject(
          refused(request.status, request.responseText, request.getResponseHeader("Retry-After")),
        );
      }
      if (isStream()) reader.read(request.responseText);
      else reader.whole(request.responseText);
      if (reader.answer) resolve(reader.answer);
      else reject(reader.error ?? brokenOff(""));
    };
    request.onerror = () =>
      reject(reader.error ?? (request.status ? brokenOff("") : unreachable()));
    request.onabort = () => reject(new Cancelled());
    signal.addEventListener("abort", () => request.abort());
    request.send(form(file, options));
  });
}

/** The events of one answer. */
class AnswerReader {
  /** @param {Watcher} watch */
  constructor(watch) {
    this.watch = watch;
    this.at = 0;
    /** @type {any} */
    this.answer = null;
    /** @type {ApiError | null} */
    this.error = null;
    this.parser = new EventParser({
      data: (data) => this.data(data),
      comment: (text) => this.comment(text),
    });
  }

  /** @param {string} text All that has come so far. */
  read(text) {
    this.parser.feed(text.slice(this.at));
    this.at = text.length;
  }

  /** @param {string} text The answer of a server that does not stream. */
  whole(text) {
    this.answer = JSON.parse(text);
  }

  /** @param {string} data */
  data(data) {
    if (data === "[DONE]") return;
    const event = JSON.parse(data);
    if (event.error) this.error = brokenOff(event.error.message ?? "");
    else if (event.type === "transcript.text.delta") this.watch.text(event.delta);
    else if (event.type === "transcript.text.done") this.answer = event;
  }

  /** @param {string} text */
  comment(text) {
    if (text.startsWith("progress "))
      this.watch.progress(JSON.parse(text.slice("progress ".length)));
  }
}

/** @param {ApiError} error @param {Watcher} watch @param {AbortSignal} signal @returns {Promise<void>} */
function waited(error, watch, signal) {
  return new Promise((resolve, reject) => {
    let left = Math.ceil(error.retryAfter ?? 1);
    watch.waiting(error, left);
    const timer = setInterval(() => {
      left -= 1;
      if (left > 0) return watch.waiting(error, left);
      clearInterval(timer);
      resolve();
    }, 1000);
    signal.addEventListener("abort", () => {
      clearInterval(timer);
      reject(new Cancelled());
    });
  });
}
