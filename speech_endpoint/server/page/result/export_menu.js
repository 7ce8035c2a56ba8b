// @ts-check
// The transcript as a file, or on the clipboard; as it is now, with names and corrections.

import { byId, make, say } from "../dom.js";
import * as formats from "../exports/formats.js";
import { openMenu } from "../menu.js";

/** @typedef {import("../data/session.js").Session} Session */

/** @param {() => Session} session */
export function wireExport(session) {
  const button = byId("export");
  const file = (
    /** @type {string} */ label,
    /** @type {string} */ extension,
    /** @type {() => string} */ write,
  ) => ({
    label,
    hint: `.${extension}`,
    action: () => download(`${stem(session().saved.title)}.${extension}`, write()),
  });
  const now = () => session().transcript;
  button.addEventListener("click", () =>
    openMenu(button, "Export", [
      { heading: "Subtitles" },
      file("SubRip", "srt", () => formats.toSrt(now())),
      file("WebVTT", "vtt", () => formats.toVtt(now())),
      { heading: "To read" },
      file("Text", "txt", () => formats.toText(now())),
      file("Markdown", "md", () => formats.toMarkdown(now(), stem(session().saved.title))),
      { label: "Print or PDF", action: () => print() },
      { heading: "Data" },
      file("Words, JSON", "json", () => formats.toJson(now())),
      file("Segments, TSV", "tsv", () => formats.toTsv(now())),
      ...(formats.hasSpeakers(now())
        ? [file("Speakers, RTTM", "rttm", () => formats.toRttm(now()))]
        : []),
      { heading: "Clipboard" },
      { label: "Copy the text", action: () => copy(formats.toText(now())) },
    ]),
  );
}

/** @param {string} title @returns {string} Without what a file name cannot hold. */
const stem = (title) =>
  title
    .replace(/\.[a-z0-9]{2,4}$/i, "")
    .replace(/[\\/:*?"<>|\p{Cc}]+/gu, " ")
    .trim() || "transcript";

/** @param {string} name @param {string} text */
function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  const link = make("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  say(`${name} saved`);
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages that are not served over https have no clipboard but this.
    const field = make("textarea", { class: "sr-only" });
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  say("Copied");
  const button = byId("export");
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Export"), 1500);
}
