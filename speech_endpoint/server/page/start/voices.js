// @ts-check
// The voices that this browser knows, to be deleted.

import { removeVoice, voices } from "../data/store.js";
import { byId, make } from "../dom.js";

export async function showVoices() {
  const known = await voices();
  byId("voices-box").hidden = !known.length;
  byId("voices").replaceChildren(...known.map(({ name }) => row(name)));
}

/** @param {string} name @returns {HTMLElement} */
function row(name) {
  const remove = make(
    "button",
    { class: "icon", "aria-label": `Forget the voice of ${name}`, title: "Forget this voice" },
    "×",
  );
  remove.addEventListener("click", async () => {
    await removeVoice(name);
    await showVoices();
  });
  return make("li", {}, make("span", { class: "recent-title" }, name), remove);
}
