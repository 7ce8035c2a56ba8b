// @ts-check
// Unicode as Python's `unicodedata` and `str` see it: exports must equal those of the server.

/** Full-width characters (UAX #11: W and F), Unicode 14; what is not assigned goes with either. */
const WIDE = `
  1100-115f 231a-231b 2329-232a 23e9-23ec 23f0 23f3 25fd-25fe 2614-2615 2648-2653 267f 2693 26a1
  26aa-26ab 26bd-26be 26c4-26c5 26ce 26d4 26ea 26f2-26f3 26f5 26fa 26fd 2705 270a-270b 2728 274c
  274e 2753-2755 2757 2795-2797 27b0 27bf 2b1b-2b1c 2b50 2b55 2e80-303e 3041-3247 3250-4dbf
  4e00-a4c6 a960-a97c ac00-d7a3 f900-fad9 fe10-fe19 fe30-fe6b ff01-ff60 ffe0-ffe6 16fe0-1b2fb
  1f004 1f0cf 1f18e 1f191-1f19a 1f200-1f320 1f32d-1f335 1f337-1f37c 1f37e-1f393 1f3a0-1f3ca
  1f3cf-1f3d3 1f3e0-1f3f0 1f3f4 1f3f8-1f43e 1f440 1f442-1f4fc 1f4ff-1f53d 1f54b-1f54e 1f550-1f567
  1f57a 1f595-1f596 1f5a4 1f5fb-1f64f 1f680-1f6c5 1f6cc 1f6d0-1f6d2 1f6d5-1f6df 1f6eb-1f6ec
  1f6f4-1f6fc 1f7e0-1f7f0 1f90c-1f93a 1f93c-1f945 1f947-1f9ff 1fa70-1faf6 20000-3134a
`
  .trim()
  .split(/\s+/)
  .map((range) => range.split("-").map((point) => parseInt(point, 16)));

/** What `str.isspace` calls a blank. JavaScript's \s has other control characters. */
const BLANK =
  "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const BLANKS = new RegExp(`[${BLANK}]+`, "u");
const ONLY_BLANKS = new RegExp(`^[${BLANK}]+$`, "u");
const LEADING = new RegExp(`^[${BLANK}]+`, "u");
const TRAILING = new RegExp(`[${BLANK}]+$`, "u");

/** @param {string} text @returns {boolean} */
export const isBlank = (text) => ONLY_BLANKS.test(text);

/** @param {string} text @returns {string[]} What is between blanks: `str.split()`. */
export const splitAtBlanks = (text) => text.split(BLANKS).filter(Boolean);

/** @param {string} text @returns {string} `str.strip()`. */
export const strip = (text) => text.replace(LEADING, "").replace(TRAILING, "");

/** @param {string} text @returns {string} `str.rstrip()`. */
export const stripEnd = (text) => text.replace(TRAILING, "");

/** @param {string} text @returns {boolean} */
export const isAscii = (text) => /^[\x00-\x7f]*$/.test(text);

/** @param {string} character @returns {boolean} */
export function isWide(character) {
  const point = character.codePointAt(0) ?? 0;
  let low = 0;
  let high = WIDE.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (WIDE[middle][0] <= point) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return false;
  const [first, last = first] = WIDE[low - 1];
  return point <= last;
}

/** @param {string} character @returns {boolean} `str.isupper()` of one character. */
export const isUpper = (character) => /^\p{Uppercase}/u.test(character);

/** @param {number} value @returns {number} Half to even, as Python rounds. */
export function round(value) {
  const lower = Math.floor(value);
  const rest = value - lower;
  if (rest !== 0.5) return Math.round(value);
  return lower % 2 === 0 ? lower : lower + 1;
}

/** @param {number} seconds @returns {number} */
export const milliseconds = (seconds) => round(seconds * 1000);
