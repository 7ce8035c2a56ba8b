// The server's answer becomes a transcript, whatever it leaves out.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { peaksOf, transcriptOf } from "../../speech_endpoint/server/page/data/answer.js";
import { codeOf } from "../../speech_endpoint/server/page/data/languages.js";
import { toSrt, toText } from "../../speech_endpoint/server/page/exports/formats.js";

const recorded = (name) =>
  JSON.parse(readFileSync(new URL(`answers/${name}.json`, import.meta.url), "utf8")).done;

test("turns are the same whether the server lists them or only names speakers", () => {
  const answer = recorded("phone_call");
  const { speakers, ...without } = answer;
  assert.equal(speakers.length, 6);
  assert.equal(toSrt(transcriptOf(without)), toSrt(transcriptOf(answer)));
});

test("words get back the blanks that they have lost", () => {
  const answer = recorded("phone_call");
  const text = transcriptOf({ ...answer, speakers: [] })
    .turns.flatMap((turn) => turn.words.map((word) => word.text))
    .join("");
  assert.equal(text.trim(), answer.text);
});

test("without speakers the text is what was said", () => {
  const answer = { ...recorded("kennedy") };
  assert.equal(toText(transcriptOf(answer)), `${answer.text}\n`);
  assert.equal(transcriptOf(answer).turns[0].speaker, null);
});

test("without words a segment is one", () => {
  const { turns } = transcriptOf({
    duration: 3,
    segments: [{ start: 1, end: 2, text: " Yes, so." }],
  });
  assert.deepEqual(
    turns[0].words.map(({ text, start, end }) => [text, start, end]),
    [[" Yes, so.", 1, 2]],
  );
});

test("a recording in which nobody speaks has no turns", () => {
  assert.deepEqual(transcriptOf({ text: "", duration: 5, segments: [], words: [] }).turns, []);
});

test("peaks are pairs of a lowest and a highest sample, twenty a second", () => {
  const peaks = peaksOf(recorded("phone_call"));
  assert.equal(peaks.values.length, 2 * 20 * 30);
  for (let n = 0; n < peaks.values.length; n += 2)
    assert.ok(peaks.values[n] <= peaks.values[n + 1]);
  assert.equal(peaksOf({}), null);
});

test("languages have codes", () => {
  assert.equal(codeOf("English"), "en");
  assert.equal(codeOf("german"), "de");
  assert.equal(codeOf("nobody's"), "");
});
