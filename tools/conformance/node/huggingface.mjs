// What @huggingface/inference makes of a server, as JSON: node huggingface.mjs URL KEY CLIP
import fs from "node:fs";
import { InferenceClient } from "@huggingface/inference";

const [url, key, clip] = process.argv.slice(2);
const client = new InferenceClient(key.startsWith("hf_") ? key : undefined);
try {
  const data = new Blob([fs.readFileSync(clip)], { type: "audio/ogg" });
  const told = await client.automaticSpeechRecognition({ endpointUrl: url, data });
  console.log(JSON.stringify({ told }));
} catch (error) {
  console.log(JSON.stringify({ told: { failed: String(error) } }));
}
