// @ts-check
// New text on old times: which words stayed is found by their longest common subsequence.

/** @typedef {import("./transcript.js").Word} Word */

/** Scripts without blanks are cut by the browser's dictionary, so that times stay fine. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const MAX_CELLS = 4_000_000;

/**
 * Words of an edited text. Those that stay keep their times; new ones share the time of those they
 * stand for, or the gap that they fill.
 * @param {readonly Word[]} words at least one
 * @param {string} text
 * @returns {readonly Word[]} `words` itself where the text is the same.
 */
export function aligned(words, text) {
  const old = words.map((word) => key(word.text));
  const clean = text.replace(/\s+/g, " ").trim();
  if (
    clean ===
    words
      .map((word) => word.text)
      .join("")
      .replace(/\s+/g, " ")
      .trim()
  )
    return words;
  const parts = cut(clean);
  const fresh = parts.map(key);
  /** @type {Word[]} */
  const result = [];
  let [n, m] = [0, 0];
  for (const [keptOld, keptNew] of [...common(old, fresh), [old.length, fresh.length]]) {
    result.push(...spread(parts.slice(m, keptNew), words, n, keptOld));
    if (keptOld < words.length) result.push({ ...words[keptOld], text: parts[keptNew] });
    [n, m] = [keptOld + 1, keptNew + 1];
  }
  if (result.length && !/^\s/.test(words[0].text))
    result[0] = { ...result[0], text: result[0].text.trimStart() };
  return result;
}

/** @param {string} text @returns {string} What a word is, whatever its case and punctuation. */
const key = (text) => text.toLowerCase().replace(/[^\p{L}\p{M}\p{N}]/gu, "") || text.trim();

/** @param {string} text @returns {string[]} Words, with the blanks before them. */
function cut(text) {
  const spaced = ` ${text}`.match(/\s+\S+/g) ?? [];
  return spaced.flatMap((part) => (UNSPACED.test(part) ? cutUnspaced(part) : [part]));
}

/** @param {string} part @returns {string[]} */
function cutUnspaced(part) {
  /** @type {string[]} */
  const found = [];
  for (const { segment, isWordLike } of new Intl.Segmenter(undefined, {
    granularity: "word",
  }).segment(part)) {
    if (isWordLike && found.some((piece) => piece.trim())) found.push(segment);
    else found.push((found.pop() ?? "") + segment);
  }
  return found;
}

/**
 * Words in place of `words[from]` to `words[to - 1]`, sharing their time by length.
 * @param {string[]} texts
 * @param {readonly Word[]} words
 * @param {number} from
 * @param {number} to
 * @returns {Word[]}
 */
function spread(texts, words, from, to) {
  if (!texts.length) return [];
  const before = words[from - 1];
  const after = words[to];
  const start = from < to ? words[from].start : before ? before.end : after.start;
  const end = from < to ? words[to - 1].end : after ? Math.max(start, after.start) : start;
  const segment = (words[from < to ? from : from - 1] ?? after).segment;
  const total = texts.reduce((length, text) => length + text.trim().length, 0);
  let said = 0;
  return texts.map((text) => {
    const first = start + ((end - start) * said) / total;
    said += text.trim().length;
    const last = start + ((end - start) * said) / total;
    return { text, start: thousandths(first), end: thousandths(last), probability: 1, segment };
  });
}

/** @param {number} seconds */
const thousandths = (seconds) => Math.round(seconds * 1000) / 1000;

/**
 * Pairs of places that hold the same in both, as many as possible, in order.
 * @param {string[]} one
 * @param {string[]} other
 * @returns {[number, number][]}
 */
function common(one, other) {
  /** @type {[number, number][]} */
  const pairs = [];
  let start = 0;
  while (start < one.length && start < other.length && one[start] === other[start])
    pairs.push([start, start++]);
  let tail = 0;
  const shorter = Math.min(one.length, other.length) - start;
  while (tail < shorter && one[one.length - 1 - tail] === other[other.length - 1 - tail]) tail++;
  pairs.push(
    ...middle(one.slice(start, one.length - tail), other.slice(start, other.length - tail), start),
  );
  for (; tail > 0; tail--) pairs.push([one.length - tail, other.length - tail]);
  return pairs;
}

/** @param {string[]} one @param {string[]} other @param {number} offset @returns {[number, number][]} */
function middle(one, other, offset) {
  // Whoever has rewritten thousands of words has kept no times worth a gigabyte.
  if (one.length * other.length > MAX_CELLS) return [];
  const width = other.length + 1;
  const lengths = new Uint16Array((one.length + 1) * width);
  for (let n = one.length - 1; n >= 0; n--) {
    for (let m = other.length - 1; m >= 0; m--) {
      const rest = Math.max(lengths[(n + 1) * width + m], lengths[n * width + m + 1]);
      lengths[n * width + m] = one[n] === other[m] ? lengths[(n + 1) * width + m + 1] + 1 : rest;
    }
  }
  /** @type {[number, number][]} */
  const pairs = [];
  for (let n = 0, m = 0; n < one.length && m < other.length; ) {
    if (one[n] === other[m]) pairs.push([offset + n++, offset + m++]);
    else if (lengths[(n + 1) * width + m] >= lengths[n * width + m + 1]) n++;
    else m++;
  }
  return pairs;
}
