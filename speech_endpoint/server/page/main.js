// @ts-check
// The parts of the page, put together.

import { peaksOf, transcriptOf } from "./data/answer.js";
import { Session } from "./data/session.js";
import * as store from "./data/store.js";
import { merge, reassign, rename, rewrite, speakers } from "./data/transcript.js";
import { ask, byId, clock, make, say } from "./dom.js";
import { wireExport } from "./result/export_menu.js";
import { Intake } from "./start/intake.js";
import { wireKeys } from "./result/keys.js";
import { openMenu } from "./menu.js";
import { chip, shownName } from "./result/names.js";
import { keep, offerToKeepAudio } from "./result/keeping.js";
import { Player } from "./result/player.js";
import { Recent } from "./start/recent.js";
import { Search } from "./result/search.js";
import { SpeakersPanel } from "./result/speakers_panel.js";
import { Timeline } from "./result/timeline.js";
import { TranscriptView } from "./result/transcript_view.js";
import { remember } from "./result/remember.js";
import { showVoices } from "./start/voices.js";
import { Work } from "./start/work.js";

const intake = new Intake();
const work = new Work();
const recent = new Recent();
const player = new Player();
const timeline = new Timeline();
const view = new TranscriptView();
const panel = new SpeakersPanel();
const search = new Search(view, timeline);
/** @type {Session | null} */
let session = null;

/** @param {"start" | "work" | "result"} name */
function show(name) {
  document.body.dataset.view = name;
  for (const each of ["start", "work", "result"]) byId(each).hidden = each !== name;
  if (name !== "result") {
    document.title = "Who said what";
    player.load(null, 0);
  }
  if (name === "start") {
    recent.show();
    showVoices();
  }
  scrollTo({ top: 0 });
}

/** @returns {Session} */
function open() {
  if (!session) throw new Error("no transcript is open");
  return session;
}

function showTranscript() {
  const { transcript, peaks } = open().saved;
  view.show(transcript);
  panel.show(transcript, Boolean(open().audio) && intake.server.knowsVoices);
  timeline.show(transcript, peaks);
  search.look();
  view.at(player.time, false);
  const unsure = view.unsureWords;
  byId("confidence-box").hidden = !unsure;
  byId("next-unsure").textContent = `Next of ${unsure}`;
  byId("undo").toggleAttribute("disabled", !open().past.length);
}

/** @param {Session} opened */
function openSession(opened) {
  session = opened;
  const { title, transcript, warnings } = opened.saved;
  show("result");
  byId("title").textContent = title;
  byId("title-edit", HTMLInputElement).value = title;
  document.title = `${title} – Who said what`;
  const found = speakers(transcript).length;
  const words = transcript.turns.reduce((n, turn) => n + turn.words.length, 0);
  const facts = [
    clock(transcript.duration),
    found && `${found} speaker${found > 1 ? "s" : ""}`,
    `${words.toLocaleString()} words`,
    transcript.language && transcript.language[0].toUpperCase() + transcript.language.slice(1),
  ];
  byId("meta").textContent = facts.filter(Boolean).join(" · ");
  byId("notices").replaceChildren(
    ...warnings.map((warning) => make("p", { class: "notice" }, warning)),
  );
  if (!words)
    byId("notices").append(make("p", { class: "notice" }, "Nobody speaks in this recording."));
  if (opened.audio && !opened.saved.hasAudio) offerToKeepAudio(opened);
  timeline.zoom = 1;
  player.load(opened.audio, transcript.duration);
  showTranscript();
  opened.addEventListener("change", (event) => {
    showTranscript();
    say(/** @type {CustomEvent} */ (event).detail);
  });
  opened.addEventListener("saved", () => keep(opened));
}

/** Follow the address: "#t=<id>" is a transcript. */
async function route() {
  const id = new URLSearchParams(location.hash.slice(1)).get("t");
  if (!id) return show("start");
  if (session?.saved.id === id && document.body.dataset.view === "result") return;
  const saved = await store.load(id).catch(() => undefined);
  if (!saved) return show("start");
  openSession(new Session(saved, (await store.loadAudio(id)) ?? null));
}

/** @param {string} hash */
function go(hash) {
  if (location.hash === hash || (!hash && !location.hash)) return route();
  if (hash) location.hash = hash;
  else {
    history.pushState(null, "", location.pathname + location.search);
    route();
  }
}

async function leaveStart(/** @type {File} */ file) {
  show("work");
  work.reset(file);
  await intake.asked;
  intake.known = await store.voices();
  await work.start(file, intake.options);
}

intake.addEventListener("go", (event) => leaveStart(/** @type {CustomEvent} */ (event).detail));
work.addEventListener("retry", () => work.file && leaveStart(work.file));
work.addEventListener("cancelled", () => show("start"));
work.addEventListener("back", () => {
  show("start");
  const isKey = byId("back").textContent === "To the options";
  byId("options", HTMLDetailsElement).open ||= isKey;
  if (isKey) byId("key").focus();
});
work.addEventListener("done", async (event) => {
  const { file, answer } = /** @type {CustomEvent} */ (event).detail;
  const made = Session.of(
    file.name,
    transcriptOf(answer),
    peaksOf(answer),
    file,
    answer.warnings ?? [],
  );
  intake.clear();
  await keep(made);
  openSession(made);
  history.pushState(null, "", `#t=${made.saved.id}`);
  say("The transcript is ready");
});
recent.addEventListener("open", (event) => go(`#t=${/** @type {CustomEvent} */ (event).detail}`));
addEventListener("hashchange", route);
addEventListener("popstate", route);
addEventListener("beforeunload", (event) => {
  if (work.isBusy) event.preventDefault();
});
byId("home").addEventListener("click", async (event) => {
  event.preventDefault();
  if (work.isBusy) {
    const choices = [
      { label: "Stop it", value: "stop", danger: true },
      { label: "Go on", value: "" },
    ];
    if (
      (await ask("Stop the transcription?", "What has been heard so far is lost.", choices)) !==
      "stop"
    )
      return;
    work.cancel?.();
  }
  go("");
});

player.addEventListener("time", (event) => {
  const time = /** @type {CustomEvent} */ (event).detail;
  timeline.at(time, player.isPlaying);
  if (session) view.at(time, player.isPlaying);
});
timeline.addEventListener("seek", (event) =>
  player.seek(/** @type {CustomEvent} */ (event).detail),
);
view.addEventListener("seek", (event) => player.seek(/** @type {CustomEvent} */ (event).detail));
view.addEventListener("play", (event) =>
  player.playFrom(/** @type {CustomEvent} */ (event).detail),
);
view.addEventListener("rewrite", (event) => {
  const { turn, text } = /** @type {CustomEvent} */ (event).detail;
  open().change(rewrite(open().transcript, turn, text), "Saved");
});
view.addEventListener("speaker", (event) => {
  const { turn, button } = /** @type {CustomEvent} */ (event).detail;
  const { transcript } = open();
  const others = speakers(transcript).filter(
    (speaker) => speaker !== transcript.turns[turn].speaker,
  );
  const give = (/** @type {string | null} */ speaker) => {
    open().change(reassign(open().transcript, turn, speaker), "Given to somebody else");
    view.focus(view.turns[Math.min(turn, view.turns.length - 1)].words[0]);
  };
  openMenu(button, "Who said this turn", [
    { heading: "This turn was said by" },
    ...others.map((speaker) => ({
      label: shownName(transcript, speaker),
      chip: chip(transcript, speaker),
      action: () => give(speaker),
    })),
    { label: "Somebody new", action: () => give(null) },
  ]);
});
panel.addEventListener("rename", (event) => {
  const { speaker, name } = /** @type {CustomEvent} */ (event).detail;
  open().change(rename(open().transcript, speaker, name), `Now called ${name}`);
});
panel.addEventListener("merge", (event) => {
  const { from, into } = /** @type {CustomEvent} */ (event).detail;
  open().change(merge(open().transcript, from, into), "Merged");
});
panel.addEventListener("remember", (event) => {
  const { speaker } = /** @type {CustomEvent} */ (event).detail;
  remember(open(), speaker, intake.options.key);
});
panel.addEventListener("sample", (event) => {
  const { start, end } = /** @type {CustomEvent} */ (event).detail;
  player.playFrom(start, end);
});
byId("undo").addEventListener("click", () => open().undo());
byId("next-unsure").addEventListener("click", () => view.nextUnsure());
byId("show-unsure").addEventListener("change", (event) => {
  byId("transcript").classList.toggle(
    "hides-unsure",
    !(/** @type {HTMLInputElement} */ (event.target).checked),
  );
});
byId("title-edit").addEventListener("change", (event) => {
  const { value } = /** @type {HTMLInputElement} */ (event.target);
  open().rename(value.trim() || open().saved.title);
  byId("title").textContent = open().saved.title;
});
byId("attach").addEventListener("click", () => {
  const picker = make("input", { type: "file", accept: "audio/*,video/*" });
  picker.addEventListener("change", () => {
    const file = picker.files?.[0];
    if (!file) return;
    open().audio = file;
    player.load(file, open().transcript.duration);
  });
  picker.click();
});
wireExport(open);
wireKeys({
  " ": () => player.toggle(),
  k: () => player.toggle(),
  ArrowLeft: () => player.skip(-5),
  ArrowRight: () => player.skip(5),
  j: () => player.skip(-10),
  l: () => player.skip(10),
  "[": () => player.changeSpeed(-1),
  "]": () => player.changeSpeed(1),
  ArrowUp: () => view.step(-1),
  ArrowDown: () => view.step(1),
  "/": () => byId("query").focus(),
  e: () => view.edit(view.active),
  n: () => view.nextUnsure(),
  "Ctrl+z": () => open().undo(),
});
route();
