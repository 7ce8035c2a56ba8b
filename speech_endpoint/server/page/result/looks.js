// @ts-check
// How speakers look: a colour and a pattern each, so that no one need tell them by colour alone.

const N_LOOKS = 8;
const TILE = 6;

/**
 * What each look draws over its colour, in a tile of six by six.
 * @type {((context: CanvasRenderingContext2D) => void)[]}
 */
const PATTERNS = [
  () => {},
  (context) =>
    stripes(context, [
      [-1, 7, 7, -1],
      [-4, 4, 4, -4],
      [2, 10, 10, 2],
    ]),
  (context) => context.fillRect(0, 2, TILE, 2),
  (context) => context.fillRect(1.5, 1.5, 3, 3),
  (context) => context.fillRect(2, 0, 2, TILE),
  (context) =>
    stripes(context, [
      [-1, -1, 7, 7],
      [-4, 2, 4, 10],
      [2, -4, 10, 4],
    ]),
  (context) => {
    context.fillRect(0, 2, TILE, 1.5);
    context.fillRect(2, 0, 1.5, TILE);
  },
  (context) => {
    context.fillRect(0, 0, 3, 3);
    context.fillRect(3, 3, 3, 3);
  },
];

/** @param {CanvasRenderingContext2D} context @param {number[][]} lines */
function stripes(context, lines) {
  context.lineWidth = 2;
  for (const [x, y, toX, toY] of lines) {
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(toX, toY);
    context.stroke();
  }
}

/** @type {Map<string, CanvasPattern | string>} */
const made = new Map();

/**
 * @param {CanvasRenderingContext2D} context
 * @param {CSSStyleDeclaration} style
 * @param {number} number of the speaker
 * @returns {CanvasPattern | string}
 */
export function look(context, style, number) {
  const n = number % N_LOOKS;
  const color = style.getPropertyValue(`--speaker-${n}`).trim();
  const over = style.getPropertyValue("--pattern").trim();
  const key = `${n} ${color} ${over}`;
  const known = made.get(key);
  if (known) return known;
  const tile = document.createElement("canvas");
  tile.width = tile.height = TILE;
  const ink = tile.getContext("2d");
  if (!ink) return color;
  ink.fillStyle = color;
  ink.fillRect(0, 0, TILE, TILE);
  ink.fillStyle = ink.strokeStyle = over;
  PATTERNS[n](ink);
  const pattern = context.createPattern(tile, "repeat") ?? color;
  made.set(key, pattern);
  return pattern;
}
