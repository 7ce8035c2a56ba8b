// Renders the answers on standard input with the page's modules, for test_exports.py.
import { readFileSync } from "node:fs";

import { transcriptOf } from "../../speech_endpoint/server/page/data/answer.js";
import * as formats from "../../speech_endpoint/server/page/exports/formats.js";

const answers = JSON.parse(readFileSync(0, "utf8"));
const rendered = answers.map((answer) => {
  const transcript = transcriptOf(answer);
  return {
    text: formats.toText(transcript),
    srt: formats.toSrt(transcript),
    vtt: formats.toVtt(transcript),
    rttm: formats.toRttm(transcript),
    tsv: formats.toTsv(transcript),
  };
});
process.stdout.write(JSON.stringify(rendered));
