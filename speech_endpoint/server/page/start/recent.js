// @ts-check
// What this browser has kept, to open again or to delete.

import { ask, byId, clock, make, size } from "../dom.js";
import * as store from "../data/store.js";
import { speakers } from "../data/transcript.js";
import { chip } from "../result/names.js";

/** @typedef {import("../data/session.js").Saved} Saved */

const MAX_CHIPS = 5;

/** Says "open" (detail: id). */
export class Recent extends EventTarget {
  constructor() {
    super();
    const keep = byId("keep-audio", HTMLInputElement);
    keep.checked = store.settings.is("keepAudio", false);
    keep.addEventListener("change", () => store.settings.set("keepAudio", keep.checked));
    byId("delete-all").addEventListener("click", () => this.deleteAll());
  }

  async show() {
    /** @type {Saved[]} */
    let found = [];
    try {
      found = await store.all();
    } catch {
      byId("recent-empty").textContent =
        "This browser keeps nothing for this page: transcripts are gone when it is closed.";
    }
    byId("recent").replaceChildren(...found.map((saved) => this.row(saved)));
    byId("recent-empty").hidden = found.length > 0;
    byId("delete-all").hidden = !found.length;
    byId("keep-audio", HTMLInputElement).checked = store.settings.is("keepAudio", false);
    byId("quota").textContent = await space();
  }

  /** @param {Saved} saved @returns {HTMLElement} */
  row(saved) {
    const { transcript, title, savedAt, id } = saved;
    const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
    const found = speakers(transcript);
    const open = make(
      "button",
      {
        class: "recent-open",
        click: () => this.dispatchEvent(new CustomEvent("open", { detail: id })),
      },
      make("span", { class: "recent-title" }, title),
      make(
        "span",
        { class: "recent-meta" },
        `${clock(transcript.duration)} · ${day.format(savedAt)}`,
      ),
      make(
        "span",
        { class: "recent-chips" },
        ...found.slice(0, MAX_CHIPS).map((speaker) => chip(transcript, speaker)),
      ),
    );
    const remove = make(
      "button",
      { class: "icon", "aria-label": `Delete ${title}`, title: "Delete" },
      "×",
    );
    remove.addEventListener("click", async () => {
      const body = "The transcript and its corrections go for good.";
      const choices = [
        { label: "Keep", value: "" },
        { label: "Delete", value: "delete", danger: true },
      ];
      if ((await ask(`Delete “${title}”?`, body, choices)) !== "delete") return;
      await store.remove(id);
      this.show();
    });
    return make("li", {}, open, remove);
  }

  async deleteAll() {
    const body =
      "All transcripts and recordings that this browser keeps for this page go for good.";
    const choices = [
      { label: "Keep", value: "" },
      { label: "Delete all", value: "delete", danger: true },
    ];
    if ((await ask("Delete everything?", body, choices)) !== "delete") return;
    await store.removeAll();
    this.show();
  }
}

/** @returns {Promise<string>} */
async function space() {
  const { usage = 0, quota = 0 } = (await navigator.storage?.estimate?.()) ?? {};
  return quota ? `(${size(usage)} of ${size(quota)} used)` : "";
}
