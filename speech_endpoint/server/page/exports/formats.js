// @ts-check
// A transcript as a file. The subtitles, the text, RTTM and TSV are those of the server
// (speech_endpoint/output/formats.py), byte for byte.

import { cues } from "./cues.js";
import { oneLine } from "./display_text.js";
import { milliseconds, strip } from "./unicode.js";

/**
 * @typedef {import("../data/transcript.js").Transcript} Transcript
 * @typedef {import("../data/transcript.js").Word} Word
 * @typedef {{speaker: string | null, start: number, end: number, text: string, words: readonly Word[]}} Part
 */

/** @param {Transcript} transcript @returns {Part[]} Its turns under their speakers' names. */
export function parts(transcript) {
  return transcript.turns.map(({ speaker, words }) => ({
    speaker: speaker === null ? null : transcript.names[speaker],
    start: words[0].start,
    end: words.reduce((latest, word) => Math.max(latest, word.end), -Infinity),
    text: words.map((word) => word.text).join(""),
    words,
  }));
}

/** @param {number} whole milliseconds @param {string} mark @returns {string} */
function timestamp(whole, mark = ".") {
  const pad = (/** @type {number} */ value, /** @type {number} */ width) =>
    String(value).padStart(width, "0");
  const hours = Math.floor(whole / 3_600_000);
  const minutes = Math.floor(whole / 60_000) % 60;
  const seconds = Math.floor(whole / 1000) % 60;
  return `${pad(hours, 2)}:${pad(minutes, 2)}:${pad(seconds, 2)}${mark}${pad(whole % 1000, 3)}`;
}

/** @param {Transcript} transcript @returns {boolean} */
export const hasSpeakers = (transcript) => transcript.turns.some((turn) => turn.speaker !== null);

/** @param {Transcript} transcript @returns {string} */
export function toText(transcript) {
  if (!hasSpeakers(transcript)) {
    const text = strip(
      parts(transcript)
        .map((part) => part.text)
        .join(""),
    );
    return text ? `${text}\n` : "";
  }
  return parts(transcript)
    .map(
      (turn) =>
        `[${timestamp(milliseconds(turn.start)).slice(0, -2)}] ${turn.speaker}: ${strip(turn.text)}\n`,
    )
    .join("");
}

/** @param {Transcript} transcript @returns {string} */
export function toSrt(transcript) {
  const label = (/** @type {string} */ speaker) => (oneLine(speaker) ? `${oneLine(speaker)}:` : "");
  return cues(parts(transcript), transcript.duration, label)
    .map((cue, n) => {
      const text = cue.lines.join("\n").replaceAll("-->", "->");
      return `${n + 1}\n${timestamp(cue.start, ",")} --> ${timestamp(cue.end, ",")}\n${text}\n\n`;
    })
    .join("");
}

/** @param {string} text @returns {string} */
const escape = (text) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** @param {Transcript} transcript @returns {string} */
export function toVtt(transcript) {
  const blocks = cues(parts(transcript), transcript.duration, () => "").map((cue) => {
    const name = escape(oneLine(cue.speaker ?? ""));
    const text = (name ? `<v ${name}>` : "") + escape(cue.lines.join("\n"));
    return `${timestamp(cue.start)} --> ${timestamp(cue.end)}\n${text}\n\n`;
  });
  return "WEBVTT\n\n" + blocks.join("");
}

/** @param {Transcript} transcript @returns {string} */
export function toRttm(transcript) {
  return parts(transcript)
    .filter((turn) => turn.speaker !== null)
    .map((turn) => {
      const end = milliseconds(turn.end);
      const start = Math.max(0, Math.min(milliseconds(turn.start), end - 1));
      const duration = Math.max(end - start, 1);
      const name = oneLine(turn.speaker ?? "").replaceAll(" ", "_") || "_";
      const seconds = (/** @type {number} */ time) => (time / 1000).toFixed(3);
      return `SPEAKER audio 1 ${seconds(start)} ${seconds(duration)} <NA> <NA> ${name} <NA> <NA>\n`;
    })
    .join("");
}

/** @param {Transcript} transcript @returns {string} A segment a line, as openai/whisper writes it. */
export function toTsv(transcript) {
  /** @type {Map<number, Word[]>} */
  const segments = new Map();
  for (const word of transcript.turns.flatMap((turn) => turn.words)) {
    const known = segments.get(word.segment);
    if (known) known.push(word);
    else segments.set(word.segment, [word]);
  }
  const lines = [...segments]
    .sort(([one], [other]) => one - other)
    .map(([, words]) => {
      const end = Math.max(...words.map((word) => word.end));
      const text = oneLine(words.map((word) => word.text).join(""));
      return `${milliseconds(words[0].start)}\t${milliseconds(end)}\t${text}\n`;
    });
  return "start\tend\ttext\n" + lines.join("");
}

/** @param {Transcript} transcript @param {string} title @returns {string} */
export function toMarkdown(transcript, title) {
  const plain = (/** @type {string} */ text) => text.replace(/([\\`*_[\]<>#|])/g, "\\$1");
  const turns = parts(transcript).map((turn) => {
    const time = timestamp(milliseconds(turn.start)).slice(0, -4);
    const name = turn.speaker === null ? "" : `**${plain(oneLine(turn.speaker))}** `;
    return `${name}\`${time}\`  \n${plain(strip(turn.text))}\n`;
  });
  return [`# ${plain(oneLine(title))}\n`, ...turns].join("\n");
}

/** @param {Transcript} transcript @returns {string} For programs: turns with their words. */
export function toJson(transcript) {
  const { duration, language } = transcript;
  const turns = parts(transcript).map(({ speaker, start, end, text, words }) => ({
    ...(speaker === null ? {} : { speaker }),
    start,
    end,
    text: strip(text),
    words: words.map((word) => ({
      word: strip(word.text),
      start: word.start,
      end: word.end,
      probability: word.probability,
    })),
  }));
  const text = strip(turns.map((turn) => turn.text).join(" "));
  return JSON.stringify({ text, language, duration, turns }, null, 2) + "\n";
}
