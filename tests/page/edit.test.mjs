// Words keep their times when a turn is edited; what a person changes can be undone.
import assert from "node:assert/strict";
import { test } from "node:test";

import { aligned } from "../../speech_endpoint/server/page/data/edit.js";
import {
  merge,
  reassign,
  rename,
  rewrite,
  sample,
  speakers,
  textOf,
} from "../../speech_endpoint/server/page/data/transcript.js";

const word = (text, start, end) => ({ text, start, end, probability: 0.4, segment: 0 });
const said = (text, from = 0) =>
  text.match(/\s*\S+/g).map((part, n) => word(part, from + n, from + n + 0.8));
const times = (words) => words.map(({ text, start, end }) => [text.trim(), start, end]);

test("a corrected word takes the time of the one it replaces", () => {
  const words = aligned(said(" I'm Sheila and Texas"), "I'm Sheila in Texas");
  assert.deepEqual(times(words), [
    ["I'm", 0, 0.8],
    ["Sheila", 1, 1.8],
    ["in", 2, 2.8],
    ["Texas", 3, 3.8],
  ]);
});

test("punctuation and capitals are no other word", () => {
  const words = aligned(said(" hello there you"), "Hello, there! You");
  assert.deepEqual(times(words), [
    ["Hello,", 0, 0.8],
    ["there!", 1, 1.8],
    ["You", 2, 2.8],
  ]);
});

test("words that stay are the same objects but for their blanks, so that confidence stays", () => {
  const words = aligned(said(" one two three"), "one 2 three");
  assert.deepEqual(
    words.map(({ probability }) => probability),
    [0.4, 1, 0.4],
  );
});

test("two words for one share its time by their length", () => {
  assert.deepEqual(times(aligned(said(" gonna go"), "going to go")), [
    ["going", 0, 0.571],
    ["to", 0.571, 0.8],
    ["go", 1, 1.8],
  ]);
});

test("an added word fills the gap", () => {
  assert.deepEqual(times(aligned(said(" a b"), "a new b"))[1], ["new", 0.8, 1]);
});

test("a word added at the end or the beginning needs no gap", () => {
  assert.deepEqual(times(aligned(said(" a", 5), "x a y")), [
    ["x", 5, 5],
    ["a", 5, 5.8],
    ["y", 5.8, 5.8],
  ]);
});

test("removed words leave the others where they are", () => {
  assert.deepEqual(times(aligned(said(" a b c d"), "a d")), [
    ["a", 0, 0.8],
    ["d", 3, 3.8],
  ]);
});

test("the same text is no change, whatever its blanks", () => {
  const words = said(" a b");
  assert.equal(aligned(words, " a   b\n"), words);
});

test("text without blanks between words is cut where words are", () => {
  const words = aligned([word("你好", 0, 1), word("世界", 1, 2)], "你好中国世界");
  assert.equal(words.map(({ text }) => text).join(""), "你好中国世界");
  assert.ok(words.length >= 3);
});

test("any edit keeps times in order and the text that was typed", () => {
  let seed = 1;
  const chance = (n) => (seed = (seed * 48271) % 2147483647) % n;
  for (let round = 0; round < 300; round++) {
    const words = said(Array.from({ length: 1 + chance(12) }, () => ` w${chance(5)}`).join(""));
    const text = Array.from({ length: 1 + chance(14) }, () => `w${chance(6)}`).join(" ");
    const edited = aligned(words, text);
    assert.equal(
      edited
        .map((each) => each.text)
        .join("")
        .trim(),
      text,
    );
    edited.forEach((each, n) => {
      assert.ok(each.start <= each.end);
      assert.ok(!n || edited[n - 1].end <= each.start + 1e-9);
    });
  }
});

const turn = (speaker, text, start, overlap = false) => ({
  speaker,
  words: said(text, start),
  overlap,
});
const call = {
  turns: [
    turn("A", " Hello.", 0),
    turn("B", " Oh, hello there you.", 2, true),
    turn("A", " I am A.", 10),
    turn("B", " Yes now.", 14),
  ],
  names: { A: "A", B: "B" },
  letters: { A: 0, B: 1 },
  duration: 20,
  language: "english",
};

test("merging two speakers joins the turns that come together", () => {
  const merged = merge(call, "B", "A");
  assert.deepEqual(speakers(merged), ["A"]);
  assert.equal(merged.turns.length, 1);
  assert.equal(textOf(merged.turns[0]), "Hello. Oh, hello there you. I am A. Yes now.");
  assert.equal(call.turns.length, 4);
});

test("a turn goes to somebody else, and to somebody new", () => {
  assert.equal(reassign(call, 1, "A").turns.length, 2);
  const added = reassign(call, 3, null);
  assert.deepEqual(Object.values(added.names), ["A", "B", "Speaker C"]);
  assert.deepEqual(speakers(added).length, 3);
});

test("a name is everywhere, and an empty one is no name", () => {
  assert.equal(rename(call, "A", "  Anna   M ").names.A, "Anna M");
  assert.equal(rename(call, "A", "  "), call);
});

test("a turn whose text is deleted goes", () => {
  assert.equal(rewrite(call, 0, " ").turns.length, 3);
});

test("a voice is known by the longest turn in which nobody else speaks", () => {
  assert.deepEqual(sample(call, "B"), { start: 14, end: 15.8 });
});
