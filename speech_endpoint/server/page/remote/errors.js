// @ts-check
// What went wrong, for the person who reads it.

/** @typedef {{message?: string, code?: string, param?: string | null}} ErrorBody */

export class ApiError extends Error {
  /**
   * @param {number} status 0 where there was no answer
   * @param {string} title
   * @param {string} message
   * @param {number | null} retryAfter seconds, where trying again makes sense
   */
  constructor(status, title, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.title = title;
    this.retryAfter = retryAfter;
  }
}

export class Cancelled extends Error {}

/** @returns {ApiError} */
export function unreachable() {
  return navigator.onLine
    ? new ApiError(
        0,
        "The server cannot be reached",
        "It may be restarting, or the connection was cut. Your file is still here: try again.",
      )
    : new ApiError(
        0,
        "You are offline",
        "Your file is still here: try again when you are back online.",
      );
}

/** @param {string} message @returns {ApiError} */
export const brokenOff = (message) =>
  new ApiError(
    0,
    "The transcription broke off",
    message || "The connection ended before the answer was there. Try again.",
  );

/**
 * @param {number} status
 * @param {string} body
 * @param {string | null} retryAfter the header
 * @returns {ApiError}
 */
export function refused(status, body, retryAfter) {
  const { message: said = "", code = "" } = read(body);
  const message = sentence(said);
  const wait = Number(retryAfter);
  const seconds = Number.isFinite(wait) && wait > 0 ? wait : 5;
  switch (status) {
    case 401:
      return new ApiError(
        status,
        "The server wants an API key",
        "Enter the right one under Options, then transcribe again.",
      );
    case 413:
      return new ApiError(
        status,
        "The file is too large for this server",
        message || "Send a shorter or a compressed one.",
      );
    case 429:
      return new ApiError(status, "The server is busy", message, seconds);
    case 503:
      return new ApiError(
        status,
        code === "draining" ? "The server is restarting" : "The server is starting",
        message,
        seconds,
      );
    case 400:
    case 415:
    case 422:
      return new ApiError(status, "The server could not use this recording", message);
    default:
      return new ApiError(
        status,
        "Something went wrong on the server",
        message || `It answered with status ${status}.`,
      );
  }
}

/** @param {string} message @returns {string} Without the name of the field, which nobody here typed. */
function sentence(message) {
  const bare = message.replace(/^(file|inputs): /, "");
  return bare && bare[0].toUpperCase() + bare.slice(1) + (/[.!?]$/.test(bare) ? "" : ".");
}

/** @param {string} body @returns {ErrorBody} */
function read(body) {
  try {
    return JSON.parse(body).error ?? {};
  } catch {
    return {};
  }
}
