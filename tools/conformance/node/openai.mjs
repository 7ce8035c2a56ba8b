// What openai-node makes of a server, as JSON: node openai.mjs URL KEY CLIP
import fs from "node:fs";
import OpenAI from "openai";

const [url, apiKey, clip] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const create = (options) =>
  client.audio.transcriptions.create({
    file: fs.createReadStream(clip),
    model: "whisper-1",
    ...options,
  });
const events = async () => {
  const all = [];
  for await (const event of await create({ stream: true })) all.push(event);
  return all;
};
const asked = {
  json: () => create({}),
  srt: () => create({ response_format: "srt" }),
  verbose: () =>
    create({ response_format: "verbose_json", timestamp_granularities: ["word", "segment"] }),
  stream: events,
  refusal: () =>
    create({ response_format: "xml" }).catch((error) => ({
      kind: error.constructor.name,
      param: error.param,
    })),
};
const told = {};
for (const [name, ask] of Object.entries(asked)) {
  try {
    told[name] = await ask();
  } catch (error) {
    told[name] = { failed: String(error) };
  }
}
console.log(JSON.stringify(told));
