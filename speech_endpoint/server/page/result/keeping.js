// @ts-check
// What is open is kept in this browser; its audio, if that is wanted.

import * as store from "../data/store.js";
import { byId, make, say, size } from "../dom.js";

/** @typedef {import("../data/session.js").Session} Session */

/** @param {Session} kept */
export async function keep(kept) {
  try {
    await store.save(kept.saved);
  } catch {
    const text = "This browser has no room left: export what you need.";
    byId("notices").replaceChildren(make("p", { class: "notice" }, text));
  }
}

/** @param {Session} kept */
export function offerToKeepAudio(kept) {
  const keepIt = async () => {
    try {
      await store.saveAudio(kept.saved.id, /** @type {Blob} */ (kept.audio));
      kept.saved = { ...kept.saved, hasAudio: true };
      await keep(kept);
    } catch {
      say("There is no room for the audio");
    }
  };
  if (store.settings.is("keepAudio", false)) return keepIt();
  const answer = (/** @type {boolean} */ yes) => {
    notice.remove();
    if (yes) keepIt();
  };
  if (localStorage.getItem("keepAudio") !== null) return;
  const notice = make(
    "p",
    { class: "notice" },
    make(
      "span",
      {},
      `Keep the audio in this browser too (${size(kept.saved.bytes)}), to listen again another day?`,
    ),
    make(
      "button",
      {
        class: "outline small",
        click: () => (store.settings.set("keepAudio", true), answer(true)),
      },
      "Keep it",
    ),
    make(
      "button",
      {
        class: "quiet small",
        click: () => (store.settings.set("keepAudio", false), answer(false)),
      },
      "No",
    ),
  );
  byId("notices").append(notice);
}
