// @ts-check
// speech_endpoint/output/cue_pieces.py: a speaker's words as pieces of subtitles.

import {
  clusters,
  columns,
  isFullWidth,
  mayBreak,
  visible,
  withoutClosingMarks,
} from "./display_text.js";
import { CLAUSE_ENDS, endsSentence } from "./orthography.js";
import { isBlank, isUpper, splitAtBlanks } from "./unicode.js";

/**
 * @typedef {{text: string, start: number, end: number, isSpaced: boolean, endsSentence: boolean}} Piece
 * @typedef {import("../data/transcript.js").Word} Word
 */

const LINE_ENDS = [...CLAUSE_ENDS, "–", "؛"];
const CONJUNCTIONS = new Set(
  (
    "and or but because although though while when whether unless until since which who that where" +
    " und oder aber weil obwohl während wenn dass sondern et ou mais parce quand lorsque puisque" +
    " pero porque aunque mientras cuando sino perché mentre quando anche mas embora enquanto maar" +
    " omdat hoewel terwijl но или потому хотя когда если что"
  ).split(" "),
);
const MAX_FUNCTION_WORD_LETTERS = 3;
const MAX_SHORT_WORD_LETTERS = 4;
const MAX_PAUSE_S = 1.0;
const SENTENCE_COST = 0;
const CLAUSE_COST = 2;
const CONJUNCTION_COST = 4;
const BEFORE_FUNCTION_WORD_COST = 7;
const WITHIN_CLAUSE_COST = 10;
const AFTER_SHORT_WORD_COST = 12;
const NAME_COST = 14;
const AFTER_FUNCTION_WORD_COST = 16;

/**
 * The most that a line holds, columns; fewer where it has full-width characters.
 * @param {number} maxColumns
 * @param {boolean} wide
 */
export const lineColumns = (maxColumns, wide) =>
  wide ? Math.floor((maxColumns * 16) / 21) : maxColumns;

/**
 * Cut words where a line may end.
 * @param {readonly Word[]} words of one speaker, in order
 * @param {number} maxColumns of a line
 * @param {number} notBefore when the speaker's last words began, seconds
 * @returns {Piece[]}
 */
export function pieces(words, maxColumns, notBefore) {
  /** @type {Piece[]} */
  const joined = [];
  let afterBlank = false;
  for (const word of words) {
    const text = visible(word.text);
    const characters = [...text];
    afterBlank ||= characters.length > 0 && isBlank(characters[0]);
    const parts = splitAtBlanks(text);
    for (let piece of timed(parts, word.start, word.end, afterBlank, endsSentence(word.text))) {
      const last = joined.at(-1);
      if (last && !(piece.isSpaced || mayBreak(last.text, piece.text))) {
        joined.pop();
        piece = {
          text: last.text + piece.text,
          start: last.start,
          end: Math.max(last.end, piece.end),
          isSpaced: last.isSpaced,
          endsSentence: piece.endsSentence,
        };
      }
      joined.push(piece);
    }
    const endsBlank = characters.length > 0 && isBlank(/** @type {string} */ (characters.at(-1)));
    afterBlank = endsBlank || (afterBlank && parts.length === 0);
  }
  return inOrder(
    joined.flatMap((piece) => cut(piece, maxColumns)),
    notBefore,
  );
}

/** @param {readonly Piece[]} all @returns {number[]} What a break after each costs. */
export function breakCosts(all) {
  return all.map((before, n) => (n + 1 < all.length ? breakCost(before, all[n + 1]) : 0));
}

/**
 * Pieces that share the time from `start` to `end`; blanks stand between them.
 * @param {string[]} texts
 * @param {number} start
 * @param {number} end
 * @param {boolean} isSpaced
 * @param {boolean} ends
 * @returns {Piece[]}
 */
function timed(texts, start, end, isSpaced, ends) {
  const step = (end - start) / Math.max(1, texts.length);
  const last = texts.length - 1;
  return texts.map((text, n) => ({
    text,
    start: start + n * step,
    end: n === last ? end : start + (n + 1) * step,
    isSpaced: isSpaced || n > 0,
    endsSentence: ends && n === last,
  }));
}

/** @param {Piece} piece @param {number} limit @returns {Piece[]} */
function cut(piece, limit) {
  const maxColumns = lineColumns(limit, isFullWidth(piece.text));
  const width = columns(piece.text);
  if (width <= maxColumns) return [piece];
  const target = Math.ceil(width / Math.ceil(width / (maxColumns - 1)));
  const texts = [""];
  for (const cluster of clusters(piece.text)) {
    const text = texts[texts.length - 1];
    if (text && columns(text + cluster) > Math.min(target + 1, maxColumns)) texts.push("");
    texts[texts.length - 1] += cluster;
  }
  const parts = timed(texts, piece.start, piece.end, piece.isSpaced, piece.endsSentence);
  return parts.map((part, n) => (n ? { ...part, isSpaced: false } : part));
}

/** @param {Piece[]} all @param {number} notBefore @returns {Piece[]} */
function inOrder(all, notBefore) {
  let earliest = notBefore;
  return all.map((piece) => {
    const start = Math.max(piece.start, earliest);
    earliest = start;
    return { ...piece, start, end: Math.max(start, piece.end) };
  });
}

/** @param {Piece} before @param {Piece} after @returns {number} */
function breakCost(before, after) {
  const pause = Math.min(Math.max(0, after.start - before.end), MAX_PAUSE_S);
  return textCost(before, after) * (1 - pause / MAX_PAUSE_S);
}

/** @param {Piece} before @param {Piece} after @returns {number} */
function textCost(before, after) {
  const bare = withoutClosingMarks(before.text);
  const length = [...bare].length;
  if (before.endsSentence) return SENTENCE_COST;
  if (LINE_ENDS.some((end) => bare.endsWith(end))) return CLAUSE_COST;
  if (!after.isSpaced) return WITHIN_CLAUSE_COST;
  if (length <= MAX_FUNCTION_WORD_LETTERS) return AFTER_FUNCTION_WORD_COST;
  if (CONJUNCTIONS.has(after.text.toLowerCase())) return CONJUNCTION_COST;
  if (isUpper(before.text) && isUpper(after.text)) return NAME_COST;
  if (length <= MAX_SHORT_WORD_LETTERS) return AFTER_SHORT_WORD_COST;
  if ([...after.text].length <= MAX_FUNCTION_WORD_LETTERS) return BEFORE_FUNCTION_WORD_COST;
  return WITHIN_CLAUSE_COST;
}
