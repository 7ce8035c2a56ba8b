// @ts-check
// speech_endpoint/orthography.py, as far as subtitles need it: what ends a sentence.

const PREPENDED_PUNCTUATION = "\"'“¿([{-";
const SENTENCE_ENDS = [".", "?", "!", "…", "。", "？", "！", "।", "؟", "။", "។", "།"];
export const CLAUSE_ENDS = [",", ";", ":", "—", "،", "，", "、", "；", "："];
const CLOSING_MARKS = " \"'”’»)]」』";
const AROUND_WORDS = CLOSING_MARKS + PREPENDED_PUNCTUATION + "„«‘.,;:!?…";
const LEADING_ABBREVIATIONS = new Set(
  (
    "mr mrs ms messrs dr prof st mt ft rev fr gov sen rep pres gen col capt cpt lt sgt cpl cmdr" +
    " supt vs fig figs vol pp dept univ approx cf viz i.e e.g ph" +
    " hr frl nr str bzw ca evtl ggf vgl inkl exkl zzgl bspw sog z.b d.h u.a s.o o.ä i.d.r" +
    " mme mlle mgr sr sra srta dra p.ej sig dott dhr mevr mw drs ul kl f.eks t.ex"
  ).split(" "),
);
const ABBREVIATIONS = new Set(
  "etc usw uvm jr snr inc ltd corp bros ph.d jan feb aug sept oct nov dec ave blvd".split(" "),
);
const NUMBER_SIGNS = new Set(["no", "nos"]);
const MAX_ORDINAL_DIGITS = 2;
const UNSPACED = [
  [0x0e00, 0x0eff],
  [0x1000, 0x109f],
  [0x1780, 0x17ff],
  [0x1950, 0x19df],
  [0x1a20, 0x1aaf],
  [0x2e80, 0x2fdf],
  [0x3005, 0x312f],
  [0x31a0, 0x31ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa9e0, 0xa9ff],
  [0xaa60, 0xaadf],
  [0xf900, 0xfaff],
  [0xff66, 0xff9f],
  [0x1aff0, 0x1b16f],
  [0x20000, 0x3ffff],
];

/** @param {string} character @returns {boolean} */
function isUnspaced(character) {
  const point = character.codePointAt(0) ?? 0;
  return (
    UNSPACED.some(([low, high]) => low <= point && point <= high) && !/^\p{Nd}/u.test(character)
  );
}

/** @param {string} text @param {string} marks @param {boolean} [onlyEnd] @returns {string} */
function stripOf(text, marks, onlyEnd = false) {
  const characters = [...text];
  while (characters.length && marks.includes(/** @type {string} */ (characters.at(-1))))
    characters.pop();
  while (!onlyEnd && characters.length && marks.includes(characters[0])) characters.shift();
  return characters.join("");
}

/**
 * Whether a word's punctuation ends a sentence; abbreviations, initials and ordinals end none. As
 * `ends_sentence` with the following word unknown, the way subtitles ask.
 * @param {string} text
 * @returns {boolean}
 */
export function endsSentence(text) {
  const core = stripOf(text, CLOSING_MARKS, true);
  if (!core.endsWith(".") || core.endsWith(".."))
    return SENTENCE_ENDS.some((end) => core.endsWith(end));
  const stem = stripOf(core, AROUND_WORDS).toLowerCase();
  if (NUMBER_SIGNS.has(stem)) return true;
  if (LEADING_ABBREVIATIONS.has(stem)) return false;
  const length = [...stem].length;
  if (isDigits(stem) && length <= MAX_ORDINAL_DIGITS) return false;
  const isInitial = length === 1 && /^\p{L}$/u.test(stem) && stem !== "i" && !isUnspaced(stem);
  const isDotted = stem.includes(".") && stem.split(".").every((part) => [...part].length === 1);
  return !(isInitial || isDotted || ABBREVIATIONS.has(stem));
}

/** @param {string} text @returns {boolean} `str.isdigit()`: decimals, and what is raised or circled. */
const isDigits = (text) => /^[\p{Nd}²³¹⁰⁴-⁹₀-₉①-⑨]+$/u.test(text);
