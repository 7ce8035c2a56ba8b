// Events come in pieces that end anywhere.
import assert from "node:assert/strict";
import { test } from "node:test";

import { EventParser } from "../../speech_endpoint/server/page/remote/sse.js";

const STREAM =
  ': progress {"done_s": 0}\n\nevent: transcript.text.delta\ndata: {"delta": "Grüße, 世界"}\n\n' +
  "data: two\r\ndata: lines\r\n\r\nid: 7\nretry: 5\n\ndata\n\ndata: [DONE]\n\n";
const HEARD = [
  ["comment", 'progress {"done_s": 0}'],
  ["transcript.text.delta", '{"delta": "Grüße, 世界"}'],
  ["", "two\nlines"],
  ["", ""],
  ["", "[DONE]"],
];

const heard = (pieces) => {
  const events = [];
  const parser = new EventParser({
    data: (data, event) => events.push([event, data]),
    comment: (text) => events.push(["comment", text]),
  });
  for (const piece of pieces) parser.feed(piece);
  return events;
};

test("a stream is the same events wherever it is cut", () => {
  for (let cut = 0; cut <= STREAM.length; cut++) {
    assert.deepEqual(heard([STREAM.slice(0, cut), STREAM.slice(cut)]), HEARD);
  }
  assert.deepEqual(heard([...STREAM]), HEARD);
});

test("an event that is not ended is not heard", () => {
  assert.deepEqual(heard(["data: half\n"]), []);
});
