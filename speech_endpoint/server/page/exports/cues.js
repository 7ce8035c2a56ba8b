// @ts-check
// speech_endpoint/output/cues.py: a transcript as cues.

import { CueBreaker, neededTime } from "./cue_breaks.js";
import { lineColumns, pieces } from "./cue_pieces.js";
import { place } from "./cue_timing.js";
import { columns, isFullWidth, shortened } from "./display_text.js";
import { milliseconds, strip } from "./unicode.js";

/**
 * @typedef {import("./cue_pieces.js").Piece} Piece
 * @typedef {import("./formats.js").Part} Part
 * @typedef {{start: number, end: number, lines: string[], speaker: string | null}} Cue
 */

const MAX_LINE_CHARS = 42;
const MAX_CUE_S = 7;

/**
 * Cut a transcript into cues, in order of time; no two are there at once. Times are milliseconds.
 * @param {Part[]} parts turns, or segments where there are none
 * @param {number} duration of the recording, seconds
 * @param {(speaker: string) => string} label what stands for a speaker's name; "" for nothing
 * @returns {Cue[]}
 */
export function cues(parts, duration, label) {
  const runs = bySpeaker(parts);
  const drafts = runs.flatMap(({ speaker, cut }, n) => {
    const nextStart = n + 1 < runs.length ? runs[n + 1].cut[0].start : Infinity;
    const text = speaker ? label(speaker) : "";
    const short = shortened(text, lineColumns(MAX_LINE_CHARS, isFullWidth(text)));
    return draftsOf(speaker, cut, short, nextStart);
  });
  drafts.sort((one, other) => one.spoken.start - other.spoken.start);
  const end = milliseconds(Math.max(duration, 0, ...parts.map((part) => part.end)));
  const times = place(
    drafts.map((draft) => draft.spoken),
    milliseconds(MAX_CUE_S),
    end,
  );
  return drafts.map(({ lines, speaker }, n) => ({
    start: times[n][0],
    end: times[n][1],
    lines,
    speaker,
  }));
}

/** @param {Part[]} parts */
function bySpeaker(parts) {
  /** @type {Map<string | null, number>} */
  const latest = new Map();
  /** @type {{speaker: string | null, cut: Piece[]}[]} */
  const runs = [];
  for (let n = 0; n < parts.length; ) {
    const { speaker } = parts[n];
    const words = [];
    for (; n < parts.length && parts[n].speaker === speaker; n++) words.push(...parts[n].words);
    const cut = pieces(words, MAX_LINE_CHARS, latest.get(speaker) ?? 0);
    if (!cut.length) continue;
    latest.set(speaker, cut[cut.length - 1].start);
    runs.push({ speaker, cut });
  }
  return runs;
}

/** @param {string | null} speaker @param {Piece[]} cut @param {string} label @param {number} nextStart */
function draftsOf(speaker, cut, label, nextStart) {
  return new CueBreaker(cut, label, MAX_LINE_CHARS, MAX_CUE_S, nextStart).cues().map((cue) => {
    const said = cut.slice(cue.first, cue.end);
    const upper = joined(cut.slice(cue.first, cue.secondLine));
    const lower = joined(cut.slice(cue.secondLine, cue.end));
    const lines = [strip(`${label} ${upper}`), lower].filter(Boolean);
    const needed = neededTime(lines.reduce((width, line) => width + columns(line), 0));
    const end = said.reduce((latest, piece) => Math.max(latest, piece.end), said[0].end);
    const spoken = {
      start: milliseconds(said[0].start),
      end: milliseconds(end),
      needed: milliseconds(needed),
    };
    return { spoken, lines, speaker };
  });
}

/** @param {Piece[]} all @returns {string} */
const joined = (all) =>
  strip(all.map((piece) => (piece.isSpaced ? " " : "") + piece.text).join(""));
