// @ts-check
// speech_endpoint/output/cue_breaks.py: the cheapest way to cut a speaker's words into cues.

import { breakCosts, lineColumns } from "./cue_pieces.js";
import { columns, isFullWidth } from "./display_text.js";

/**
 * @typedef {import("./cue_pieces.js").Piece} Piece
 * @typedef {{first: number, secondLine: number, end: number}} CueText
 */

const MIN_CUE_S = 5 / 6;
const MAX_COLUMNS_PER_S = 20;
const MAX_ORPHAN_COLUMNS = 12;
const MAX_PIECES = 200;
const CUE_COST = 5;
const MIXED_COST = 6;
const ORPHAN_CUE_COST = 30;
const ORPHAN_LINE_COST = 20;
const HURRY_COST = 30;
const PAUSE_COST_PER_S = 10;
const MAX_FREE_PAUSE_S = 0.5;
const LINE_BREAK_SHARE = 0.5;
const IMBALANCE_COST = 8;
const LABEL_LINE_COST = 15;

/** @param {number} width columns @returns {number} Seconds to read it. */
export const neededTime = (width) => Math.max(MIN_CUE_S, width / MAX_COLUMNS_PER_S);

/** @param {number[]} values @returns {number[]} Sums of the first 0, 1, 2, … of them. */
function sums(values) {
  const totals = [0];
  for (const value of values) totals.push(totals[totals.length - 1] + value);
  return totals;
}

/** Breaks the pieces of one speaker. */
export class CueBreaker {
  /**
   * @param {Piece[]} pieces at least one
   * @param {string} label shown in every cue; "" for none
   * @param {number} maxColumns of a line
   * @param {number} maxCue seconds
   * @param {number} nextStart when somebody else's cue follows
   */
  constructor(pieces, label, maxColumns, maxCue, nextStart) {
    this.pieces = pieces;
    this.label = label;
    this.labelColumns = label ? columns(label) + 1 : 0;
    this.maxColumns = maxColumns;
    this.maxCue = maxCue;
    this.starts = [
      ...pieces.map((piece) => piece.start),
      Math.max(nextStart, pieces[pieces.length - 1].start),
    ];
    this.breakCosts = breakCosts(pieces);
    this.widths = sums(pieces.map((piece) => columns(piece.text) + Number(piece.isSpaced)));
    this.fullWidth = sums(pieces.map((piece) => Number(isFullWidth(piece.text))));
    const pauses = pieces
      .slice(1)
      .map((after, n) => Math.max(0, after.start - pieces[n].end - MAX_FREE_PAUSE_S));
    this.pauses = [0, ...sums(pauses)];
    this.sentenceEnds = sums(pieces.map((piece) => Number(piece.endsSentence)));
    this.blanks = sums(pieces.map((piece) => Number(piece.isSpaced)));
  }

  /** @returns {CueText[]} The cheapest cues, in order; each piece is in one. */
  cues() {
    const n = this.pieces.length;
    const costs = [0, ...Array(n).fill(Infinity)];
    /** @type {(CueText | null)[]} */
    const lastCues = Array(n + 1).fill(null);
    for (let first = 0; first < n; first++) {
      for (let end = first + 1; end <= Math.min(n, first + MAX_PIECES); end++) {
        const layout = this.layout(first, end);
        if (layout === null || this.isTooLong(first, end)) break;
        const [lineCost, secondLine] = layout;
        const cost = costs[first] + lineCost + this.cost(first, end);
        if (cost < costs[end]) {
          costs[end] = cost;
          lastCues[end] = { first, secondLine, end };
        }
      }
    }
    const found = [];
    for (let cue = lastCues[n]; cue; cue = lastCues[cue.first]) found.push(cue);
    return found.reverse();
  }

  /** @param {number} first @param {number} end */
  isTooLong(first, end) {
    const spoken = this.pieces[end - 1].end - this.pieces[first].start;
    return end > first + 1 && spoken > this.maxCue;
  }

  /** @param {number} first @param {number} end @returns {number} Without that of its lines. */
  cost(first, end) {
    const shown = Math.min(this.starts[end] - this.starts[first], this.maxCue);
    const width = this.labelColumns + this.width(first, end);
    const needed = Math.min(neededTime(width), this.maxCue);
    let cost = CUE_COST + HURRY_COST * Math.max(0, 1 - shown / needed);
    cost += PAUSE_COST_PER_S * (this.pauses[end] - this.pauses[first + 1]);
    if (!this.isWhole(first, end)) {
      cost += ORPHAN_CUE_COST * Number(this.isShortWord(first, end));
      cost += MIXED_COST * Number(this.sentenceEnds[end - 1] > this.sentenceEnds[first]);
    }
    return cost + this.breakCosts[end - 1];
  }

  /**
   * The cost of the best lines, and where the second begins.
   * @param {number} first
   * @param {number} end
   * @returns {[number, number] | null} null if there is no way.
   */
  layout(first, end) {
    const label = this.labelColumns;
    if (this.fits(first, end, label)) return [0, end];
    /** @type {[number, number] | null} */
    let best = label && this.fits(first, end, 0) ? [LABEL_LINE_COST, first] : null;
    for (let second = end - 1; second > first && this.fits(second, end, 0); second--) {
      if (!this.fits(first, second, label)) continue;
      const cost = this.twoLinesCost(first, second, end);
      if (!best || cost < best[0] || (cost === best[0] && second < best[1])) best = [cost, second];
    }
    return best;
  }

  /** @param {number} first @param {number} second @param {number} end */
  twoLinesCost(first, second, end) {
    const upper = this.labelColumns + this.width(first, second);
    const difference = (upper - this.width(second, end)) / this.maxColumns;
    const cost = LINE_BREAK_SHARE * this.breakCosts[second - 1] + IMBALANCE_COST * difference ** 2;
    const isOrphan =
      this.isShortWord(second, end) || (!this.label && this.isShortWord(first, second));
    return cost + ORPHAN_LINE_COST * Number(isOrphan);
  }

  /** @param {number} first @param {number} end */
  width(first, end) {
    return this.widths[end] - this.widths[first] - Number(this.pieces[first].isSpaced);
  }

  /** @param {number} first @param {number} end @param {number} labelColumns */
  fits(first, end, labelColumns) {
    const wide =
      this.fullWidth[end] > this.fullWidth[first] || (labelColumns > 0 && isFullWidth(this.label));
    return labelColumns + this.width(first, end) <= lineColumns(this.maxColumns, wide);
  }

  /** @param {number} first @param {number} end */
  isShortWord(first, end) {
    const oneWord = this.blanks[end] === this.blanks[first + 1];
    return oneWord && this.width(first, end) <= MAX_ORPHAN_COLUMNS;
  }

  /** @param {number} first @param {number} end @returns {boolean} No sentence is cut at either end. */
  isWhole(first, end) {
    const begins = first === 0 || this.pieces[first - 1].endsSentence;
    return begins && (end === this.pieces.length || this.pieces[end - 1].endsSentence);
  }
}
