// @ts-check
// A speaker's voice, to be known again; asked for, and kept in this browser alone.

import { saveVoice } from "../data/store.js";
import { sample } from "../data/transcript.js";
import { ask, byId, make, say } from "../dom.js";
import { voiceprint } from "../remote/api.js";
import { shownName } from "./names.js";

/** @typedef {import("../data/session.js").Session} Session */

/** @param {Session} session @param {string} speaker @param {string} key */
export async function remember(session, speaker, key) {
  const name = shownName(session.transcript, speaker);
  const body =
    "A voiceprint is biometric data: ask this person first. It is kept in this browser and nowhere" +
    " else, is sent with your later recordings, and can be deleted on the start page.";
  const choices = [
    { label: "Not now", value: "" },
    { label: "They agree: remember", value: "remember" },
  ];
  if (!session.audio || (await ask(`Remember the voice of ${name}?`, body, choices)) !== "remember")
    return;
  try {
    const part = sample(session.transcript, speaker);
    await saveVoice({ name, voiceprint: await voiceprint(session.audio, part, key) });
    say(`The voice of ${name} is remembered`);
    notice(`${name} will be named in your next recordings.`);
  } catch (error) {
    const why = error instanceof Error ? error.message : "";
    notice(`The voice of ${name} could not be remembered. ${why}`);
  }
}

/** @param {string} text */
function notice(text) {
  byId("notices").append(make("p", { class: "notice" }, text));
}
