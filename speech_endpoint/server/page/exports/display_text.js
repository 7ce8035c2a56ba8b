// @ts-check
// speech_endpoint/output/display_text.py: how wide a text is, what of it is seen, where to cut it.

import { isAscii, isBlank, isWide, splitAtBlanks, stripEnd } from "./unicode.js";

const ELLIPSIS = "…";
const ZERO_WIDTH_JOINER = "\u200d";
const MAX_JOINED_COLUMNS = 8;
const HANGUL = [
  [0x1100, 0x11ff],
  [0xac00, 0xd7ff],
];
const WITHOUT_SPACES = [
  [0x0e00, 0x0eff],
  [0x1000, 0x109f],
  [0x1780, 0x17ff],
];
const NOT_AT_LINE_START = "ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ々ーๆ";

/** @param {string} char @returns {number} */
function columnsOf(char) {
  if (isAscii(char)) return 1;
  if (/^[\p{Mn}\p{Me}\p{Cf}]/u.test(char)) return 0;
  return isWide(char) ? 2 : 1;
}

/** @param {string} text @returns {number} */
export function columns(text) {
  let width = 0;
  for (const char of text) width += columnsOf(char);
  return width;
}

/** @param {string} text @returns {boolean} Whether any of its characters is. */
export const isFullWidth = (text) => !isAscii(text) && [...text].some(isWide);

/** @param {string} char @returns {string} */
function visibleCharacter(char) {
  if (isBlank(char)) return " ";
  if (/^\p{Cs}/u.test(char)) return "\ufffd";
  return /^\p{Cc}/u.test(char) ? "" : char;
}

/** @param {string} text @returns {string} Without control characters; "" if nothing is seen. */
export function visible(text) {
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  const clean = [...text].map(visibleCharacter).join("");
  return [...clean].some((char) => !/^[\p{Cf}\p{Zs}]/u.test(char)) ? clean : "";
}

/** @param {string} text @returns {string} Visible, without blanks around it or two between. */
export const oneLine = (text) => splitAtBlanks(visible(text)).join(" ");

/** @param {string} text @param {number} maxColumns @returns {string} */
export function shortened(text, maxColumns) {
  if (columns(text) <= maxColumns) return text;
  let kept = "";
  for (const cluster of clusters(text)) {
    if (columns(kept + cluster) > maxColumns - columns(ELLIPSIS)) break;
    kept += cluster;
  }
  return stripEnd(kept) + ELLIPSIS;
}

/** @param {string} text @returns {string[]} What a reader takes for one character each. */
export function clusters(text) {
  /** @type {string[]} */
  const found = [];
  let cluster = "";
  for (const char of text) {
    const isJoined = cluster.endsWith(ZERO_WIDTH_JOINER) && columns(cluster) < MAX_JOINED_COLUMNS;
    if (cluster && columnsOf(char) && !isJoined && !isMark(char)) {
      found.push(cluster);
      cluster = "";
    }
    cluster += char;
  }
  if (cluster) found.push(cluster);
  return found;
}

/** @param {string} before @param {string} after @returns {boolean} May a line end there? */
export function mayBreak(before, after) {
  const last = /** @type {string} */ ([...before].at(-1));
  const first = [...after][0];
  if (!(isWithoutSpaces(last) || isWithoutSpaces(first)) || !columnsOf(first)) return false;
  if (/^[\p{Ps}\p{Pi}]/u.test(last) || NOT_AT_LINE_START.includes(first)) return false;
  return /^[\p{Ps}\p{Pi}]/u.test(first) || !(/^\p{P}/u.test(first) || isMark(first));
}

/** @param {string} text @returns {string} Up to the quotation marks and brackets at its end. */
export const withoutClosingMarks = (text) => text.replace(/["'\p{Pe}\p{Pf}]+$/u, "");

/** @param {string} char @returns {boolean} */
const isMark = (char) => /^\p{M}/u.test(char);

/** @param {string} char @returns {boolean} */
function isWithoutSpaces(char) {
  const point = char.codePointAt(0) ?? 0;
  const isIn = (/** @type {number[]} */ [low, high]) => low <= point && point <= high;
  return WITHOUT_SPACES.some(isIn) || (isFullWidth(char) && !HANGUL.some(isIn));
}
