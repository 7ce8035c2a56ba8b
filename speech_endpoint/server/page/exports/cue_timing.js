// @ts-check
// speech_endpoint/output/cue_timing.py: when cues come and go. All times are whole milliseconds.

const MAX_SHIFT = 250;
const MIN_SHOWN = 100;

/** @typedef {{start: number, end: number, needed: number}} Spoken */

/**
 * Start and end of each cue; none begins before the last has ended.
 * @param {Spoken[]} spoken in order of their starts
 * @param {number} maxShown
 * @param {number} endOfRecording
 * @returns {[number, number][]}
 */
export function place(spoken, maxShown, endOfRecording) {
  const starts = sharedStarts(spoken, endOfRecording);
  let freeFrom = 0;
  return spoken.map((cue, n) => {
    const start = Math.max(starts[n], freeFrom);
    let end = Math.min(Math.max(cue.end, start + cue.needed), start + maxShown);
    end = Math.max(Math.min(end, starts[n + 1]), start + MIN_SHOWN);
    freeFrom = end;
    return [start, end];
  });
}

/** @param {Spoken[]} spoken @param {number} endOfRecording @returns {number[]} */
function sharedStarts(spoken, endOfRecording) {
  const starts = [...spoken.map((cue) => cue.start), endOfRecording];
  spoken.forEach((cue, n) => {
    if (starts[n + 1] - starts[n] < cue.needed) {
      let earliest = Math.max(0, cue.start - MAX_SHIFT);
      if (n) {
        const before = spoken[n - 1];
        earliest = Math.max(earliest, before.end, starts[n - 1] + before.needed);
      }
      starts[n] = Math.min(starts[n], Math.max(earliest, starts[n + 1] - cue.needed));
    }
    if (n + 1 < spoken.length && starts[n + 1] - starts[n] < cue.needed) {
      starts[n + 1] = moved(starts.slice(n, n + 3), cue, spoken[n + 1]);
    }
  });
  return starts;
}

/** @param {number[]} starts @param {Spoken} cue @param {Spoken} following @returns {number} */
function moved([start, second, third], cue, following) {
  const share = Math.floor(((third - start) * cue.needed) / (cue.needed + following.needed));
  const wanted = Math.min(start + cue.needed, Math.max(third - following.needed, start + share));
  return Math.max(second, Math.min(wanted, following.start + MAX_SHIFT));
}
