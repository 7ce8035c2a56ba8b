// @ts-check
// The server's answer (verbose_json with speakers and waveform) as a transcript.

/**
 * @typedef {import("./transcript.js").Transcript} Transcript
 * @typedef {import("./transcript.js").Turn} Turn
 * @typedef {import("./transcript.js").Word} Word
 * @typedef {{perSecond: number, values: Int8Array}} Peaks
 *   The lowest and the highest sample of each span of time, in turn, -127 to 127.
 */

/** @param {any} answer @returns {Transcript} */
export function transcriptOf(answer) {
  const segments = wordsOfSegments(answer.segments ?? [], answer.words ?? []);
  const turns =
    turnsOf(answer.speakers ?? [], segments) ?? turnsOfSegments(answer.segments ?? [], segments);
  /** @type {Record<string, string>} */
  const names = {};
  /** @type {Record<string, number>} */
  const letters = {};
  for (const { speaker } of turns) {
    if (speaker === null || speaker in names) continue;
    letters[speaker] = Object.keys(names).length;
    names[speaker] = speaker;
  }
  return { turns, names, letters, duration: answer.duration ?? 0, language: answer.language ?? "" };
}

/** @param {any} answer @returns {Peaks | null} */
export function peaksOf(answer) {
  const waveform = answer.waveform;
  if (!waveform?.peaks) return null;
  const bytes = Uint8Array.from(atob(waveform.peaks), (char) => char.charCodeAt(0));
  return { perSecond: waveform.per_second, values: new Int8Array(bytes.buffer) };
}

/**
 * The words of each segment, with the blanks that the answer's words have lost: the segments' texts
 * still have them.
 * @param {any[]} segments
 * @param {any[]} words
 * @returns {Word[][]}
 */
function wordsOfSegments(segments, words) {
  let next = 0;
  return segments.map((segment, index) => {
    const text = String(segment.text);
    /** @type {Word[]} */
    const own = [];
    let at = 0;
    while (next < words.length) {
      const bare = String(words[next].word).trim();
      const found = text.indexOf(bare, at);
      if (found < 0 || text.slice(at, found).trim()) break;
      const { start, end, probability = 1 } = words[next++];
      own.push({
        text: text.slice(at, found + bare.length),
        start,
        end,
        probability,
        segment: index,
      });
      at = found + bare.length;
    }
    if (own.length || !text.trim()) return own;
    return [{ text, start: segment.start, end: segment.end, probability: 1, segment: index }];
  });
}

/**
 * Of a server that does not list turns: consecutive segments of one speaker, who is in them.
 * @param {any[]} segments
 * @param {Word[][]} words
 * @returns {Turn[]}
 */
function turnsOfSegments(segments, words) {
  /** @type {Turn[]} */
  const turns = [];
  segments.forEach(({ speaker = null }, n) => {
    if (!words[n].length) return;
    const last = turns.at(-1);
    if (last && speaker !== null && last.speaker === speaker) {
      turns[turns.length - 1] = { ...last, words: [...last.words, ...words[n]] };
    } else turns.push({ speaker, words: words[n], overlap: false });
  });
  return turns;
}

/** @param {any[]} speakers @param {Word[][]} segments @returns {Turn[] | null} */
function turnsOf(speakers, segments) {
  if (!speakers.length) return null;
  const key = (
    /** @type {number} */ start,
    /** @type {number} */ end,
    /** @type {string} */ text,
  ) => `${start} ${end} ${text.trim()}`;
  /** @type {Map<string, number[]>} */
  const places = new Map();
  for (const { start, end, text, segment } of segments.flat()) {
    const at = key(start, end, text);
    places.set(at, [...(places.get(at) ?? []), segment]);
  }
  let last = 0;
  return speakers.map((turn) => {
    const spoken = turn.words ?? [{ text: turn.text, timestamp: turn.timestamp }];
    const words = spoken.map((/** @type {any} */ word) => {
      const [start, end] = word.timestamp;
      last = places.get(key(start, end, word.text))?.shift() ?? last;
      return { text: word.text, start, end, probability: word.probability ?? 1, segment: last };
    });
    return { speaker: turn.speaker, words, overlap: Boolean(turn.overlap) };
  });
}
