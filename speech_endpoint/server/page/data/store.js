// @ts-check
// What this browser keeps: transcripts and, if wanted, their audio and voices (IndexedDB), and settings.

/** @typedef {import("./session.js").Saved} Saved */

const DATABASE = "speech-endpoint";
const STORES = { transcripts: "transcripts", audio: "audio", voices: "voices" };

/** @typedef {{name: string, voiceprint: string}} Voice */

/** @returns {string} */
export const newId = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;

/** @type {Promise<IDBDatabase> | null} */
let opened = null;

/** @returns {Promise<IDBDatabase>} */
function open() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 2);
    request.onupgradeneeded = (event) => {
      if (event.oldVersion < 1) {
        request.result.createObjectStore(STORES.transcripts, { keyPath: "id" });
        request.result.createObjectStore(STORES.audio);
      }
      request.result.createObjectStore(STORES.voices, { keyPath: "name" });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

/**
 * @param {IDBTransactionMode} mode
 * @param {(transcripts: IDBObjectStore, audio: IDBObjectStore, voices: IDBObjectStore) => IDBRequest | void} work
 * @returns {Promise<any>} The result of the request, once it is on the disk.
 */
async function transact(mode, work) {
  const database = await open();
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(Object.values(STORES), mode);
    const request = work(
      transaction.objectStore(STORES.transcripts),
      transaction.objectStore(STORES.audio),
      transaction.objectStore(STORES.voices),
    );
    transaction.oncomplete = () => resolve(request?.result);
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error);
    // Whoever closes the tab now has it all the same.
    transaction.commit();
  });
}

/** @param {Saved} saved */
export const save = (saved) => transact("readwrite", (transcripts) => transcripts.put(saved));

/** @param {string} id @param {Blob} audio */
export const saveAudio = (id, audio) => transact("readwrite", (_, audios) => audios.put(audio, id));

/** @param {string} id @returns {Promise<Saved | undefined>} */
export const load = (id) => transact("readonly", (transcripts) => transcripts.get(id));

/** @param {string} id @returns {Promise<Blob | undefined>} */
export const loadAudio = (id) => transact("readonly", (_, audios) => audios.get(id));

/** @returns {Promise<Saved[]>} The newest first. */
export async function all() {
  /** @type {Saved[]} */
  const found = await transact("readonly", (transcripts) => transcripts.getAll());
  return found.sort((one, other) => other.savedAt - one.savedAt);
}

/** @param {string} id */
export const remove = (id) =>
  transact("readwrite", (transcripts, audio) => {
    audio.delete(id);
    transcripts.delete(id);
  });

export const removeAll = () =>
  transact("readwrite", (transcripts, audio) => {
    audio.clear();
    transcripts.clear();
  });

/** @returns {Promise<Voice[]>} None where the browser keeps nothing. */
export const voices = () => transact("readonly", (_, __, known) => known.getAll()).catch(() => []);

/** @param {Voice} voice In the place of another of its name. */
export const saveVoice = (voice) => transact("readwrite", (_, __, known) => known.put(voice));

/** @param {string} name */
export const removeVoice = (name) => transact("readwrite", (_, __, known) => known.delete(name));

export const settings = {
  /** The key is forgotten with the tab, unless it is to be remembered. */
  get key() {
    return localStorage.getItem("key") ?? sessionStorage.getItem("key") ?? "";
  },
  get remembersKey() {
    return localStorage.getItem("key") !== null;
  },
  /** @param {string} key @param {boolean} remember */
  setKey(key, remember) {
    localStorage.removeItem("key");
    sessionStorage.removeItem("key");
    if (key) (remember ? localStorage : sessionStorage).setItem("key", key);
  },
  /** @param {string} name @param {boolean} whereUnset @returns {boolean} */
  is(name, whereUnset) {
    return (localStorage.getItem(name) ?? String(whereUnset)) === "true";
  },
  /** @param {string} name @param {boolean} value */
  set(name, value) {
    localStorage.setItem(name, String(value));
  },
};
