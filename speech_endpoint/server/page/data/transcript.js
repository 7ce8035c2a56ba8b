// @ts-check
// A transcript, and what a person changes in it. Pure: every change returns a new transcript, which
// shares what has not changed, so that undoing is keeping the old one.

import { aligned } from "./edit.js";

/**
 * @typedef {{text: string, start: number, end: number, probability: number, segment: number}} Word
 *   Text with its leading blank and punctuation; seconds; the segment that it was decoded in.
 * @typedef {{speaker: string | null, words: readonly Word[], overlap: boolean}} Turn
 *   Consecutive words of one speaker, at least one.
 * @typedef {{
 *   turns: readonly Turn[],
 *   names: Readonly<Record<string, string>>,
 *   letters: Readonly<Record<string, number>>,
 *   duration: number,
 *   language: string,
 * }} Transcript
 *   `names` are what speakers are called, `letters` which letter and colour they have: 0 is A.
 * @typedef {{turn: number, word: number}} Place
 */

/**
 * Give a speaker a name, in every turn.
 * @param {Transcript} transcript
 * @param {string} speaker
 * @param {string} name
 * @returns {Transcript}
 */
export function rename(transcript, speaker, name) {
  const clean = name.replace(/\s+/g, " ").trim();
  if (!clean || clean === transcript.names[speaker]) return transcript;
  return { ...transcript, names: { ...transcript.names, [speaker]: clean } };
}

/**
 * Two speakers are one: all that `from` said, `into` did.
 * @param {Transcript} transcript
 * @param {string} from
 * @param {string} into
 * @returns {Transcript}
 */
export function merge(transcript, from, into) {
  if (from === into) return transcript;
  const turns = transcript.turns.map((turn) =>
    turn.speaker === from ? { ...turn, speaker: into } : turn,
  );
  return { ...transcript, turns: joined(turns) };
}

/**
 * Somebody else said this turn.
 * @param {Transcript} transcript
 * @param {number} index
 * @param {string | null} speaker one of the transcript's, or null for somebody new
 * @returns {Transcript}
 */
export function reassign(transcript, index, speaker) {
  const turns = [...transcript.turns];
  if (speaker !== null) {
    turns[index] = { ...turns[index], speaker };
    return { ...transcript, turns: joined(turns) };
  }
  const number = Math.max(-1, ...Object.values(transcript.letters)) + 1;
  const added = freeName(transcript, `speaker-${number}`);
  turns[index] = { ...turns[index], speaker: added };
  return {
    ...transcript,
    turns: joined(turns),
    names: { ...transcript.names, [added]: `Speaker ${letter(number)}` },
    letters: { ...transcript.letters, [added]: number },
  };
}

/**
 * A turn's text is another. Words that stay keep their times.
 * @param {Transcript} transcript
 * @param {number} index
 * @param {string} text without any of it, the turn goes
 * @returns {Transcript}
 */
export function rewrite(transcript, index, text) {
  const turn = transcript.turns[index];
  const words = aligned(turn.words, text);
  if (words === turn.words) return transcript;
  const turns = [...transcript.turns];
  if (words.length) turns[index] = { ...turn, words };
  else turns.splice(index, 1);
  return { ...transcript, turns };
}

/** @param {Transcript} transcript @returns {string[]} Those who speak, in order of their letters. */
export function speakers(transcript) {
  const found = new Set(transcript.turns.map((turn) => turn.speaker));
  return Object.keys(transcript.letters)
    .filter((speaker) => found.has(speaker))
    .sort((one, other) => transcript.letters[one] - transcript.letters[other]);
}

/** @param {Turn} turn @returns {string} */
export const textOf = (turn) =>
  turn.words
    .map((word) => word.text)
    .join("")
    .trim();

/** @param {Turn} turn @returns {number} */
export const startOf = (turn) => turn.words[0].start;

/** @param {Turn} turn @returns {number} */
export const endOf = (turn) => turn.words.reduce((latest, word) => Math.max(latest, word.end), 0);

/** @param {Transcript} transcript @param {string} speaker @returns {number} Seconds of talking. */
export function speakingTime(transcript, speaker) {
  const own = transcript.turns.filter((turn) => turn.speaker === speaker);
  return own.reduce((total, turn) => total + endOf(turn) - startOf(turn), 0);
}

/**
 * The turn to know a voice by: the longest in which nobody else speaks.
 * @param {Transcript} transcript
 * @param {string} speaker
 * @returns {{start: number, end: number}} At most ten seconds.
 */
export function sample(transcript, speaker) {
  const own = transcript.turns.filter((turn) => turn.speaker === speaker);
  const clean = own.filter((turn) => !turn.overlap);
  const length = (/** @type {Turn} */ turn) => endOf(turn) - startOf(turn);
  const best = (clean.length ? clean : own).reduce((one, other) =>
    length(other) > length(one) ? other : one,
  );
  return { start: startOf(best), end: Math.min(endOf(best), startOf(best) + 10) };
}

/** @param {number} number @returns {string} A, B, … Z, AA. */
export function letter(number) {
  const last = String.fromCharCode(65 + (number % 26));
  return number < 26 ? last : letter(Math.floor(number / 26) - 1) + last;
}

/** Where a speaker's turns have come together, they are one. @param {readonly Turn[]} turns */
function joined(turns) {
  /** @type {Turn[]} */
  const result = [];
  for (const turn of turns) {
    const last = result.at(-1);
    if (last && last.speaker === turn.speaker) {
      const words = [...last.words, ...turn.words];
      result[result.length - 1] = { ...last, words, overlap: last.overlap || turn.overlap };
    } else result.push(turn);
  }
  return result;
}

/** @param {Transcript} transcript @param {string} wanted @returns {string} */
const freeName = (transcript, wanted) =>
  wanted in transcript.letters ? freeName(transcript, `${wanted}+`) : wanted;
