// Draws a picture and the boxes of its objects at the resolution of the screen.

const LARGEST = 2560; // side of the picture that is kept to be drawn again
const MAX_ENLARGEMENT = 4;
const SMALL = 600; // width of a picture on the screen below which labels are smaller
const LONGEST = 40; // letters of a name
const PLACES = 5; // that are tried for a label, one below the other
const FAINT = 0.25; // opacity of the others when one object is chosen
const PHONE_HEIGHT = 0.7; // of the window, where the stage has no height of its own

export class View {
  #stage;
  #canvas;
  #picture = document.createElement("canvas");
  #size = null; // of the original
  #objects = [];
  #chosen = null;

  constructor(stage, canvas) {
    this.#stage = stage;
    this.#canvas = canvas;
    new ResizeObserver(() => this.#draw()).observe(stage);
  }

  /** Keeps a copy of a picture and shows it without boxes. */
  show(bitmap) {
    const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
    this.#picture.width = Math.max(1, Math.round(bitmap.width * scale));
    this.#picture.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = this.#picture.getContext("2d", { alpha: false });
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, this.#picture.width, this.#picture.height);
    this.#size = { width: bitmap.width, height: bitmap.height };
    this.#objects = [];
    this.#chosen = null;
    this.#canvas.hidden = false;
    this.#draw();
  }

  setObjects(objects) {
    this.#objects = objects;
    this.#chosen = null;
    this.#draw();
  }

  choose(object) {
    this.#chosen = object;
    this.#draw();
  }

  #draw() {
    if (!this.#size) return;
    const { width, height } = this.#displayed();
    const density = window.devicePixelRatio || 1;
    const canvas = this.#canvas;
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#picture, 0, 0, canvas.width, canvas.height);
    context.scale(canvas.width / width, canvas.height / height);
    this.#drawObjects(context, width / this.#size.width, { width, height });
  }

  #drawObjects(context, scale, room) {
    const chosen = this.#chosen;
    const best = chosen ? [chosen, ...this.#objects.filter((object) => object !== chosen)] : this.#objects;
    const labels = placedLabels(context, best, scale, room);
    const opacity = (object) => (chosen && object !== chosen ? FAINT : 1);
    for (const object of [...best].reverse()) drawBox(context, object, scale, opacity(object));
    for (const label of labels.reverse()) drawLabel(context, label, opacity(label.object));
  }

  #displayed() {
    const { clientWidth, clientHeight } = this.#stage;
    const isPhone = getComputedStyle(this.#stage).maxHeight === "none";
    const room = isPhone ? window.innerHeight * PHONE_HEIGHT : clientHeight;
    const scale = Math.min(clientWidth / this.#size.width, room / this.#size.height, MAX_ENLARGEMENT);
    const shown = (side) => Math.max(1, Math.floor(side * scale)); // also of a picture that is one line
    return { width: shown(this.#size.width), height: shown(this.#size.height) };
  }
}

function drawBox(context, { box, color }, scale, opacity) {
  const [left, top, right, bottom] = box.map((v) => v * scale);
  context.globalAlpha = opacity;
  context.lineJoin = "round";
  for (const [style, width] of [["rgb(0 0 0 / 0.55)", 5], [color, 2.5]]) {
    context.strokeStyle = style;
    context.lineWidth = width;
    context.strokeRect(left, top, right - left, bottom - top);
  }
  context.globalAlpha = 1;
}

/** Labels above their boxes, or below the labels that are there already. The first object has the best place. */
function placedLabels(context, objects, scale, room) {
  const [padding, height, letters] = room.width < SMALL ? [3, 15, 11] : [5, 20, 13];
  const font = `600 ${letters}px system-ui, sans-serif`;
  context.font = font;
  const placed = [];
  for (const object of objects) {
    const name = object.name.length > LONGEST ? `${object.name.slice(0, LONGEST - 1)}…` : object.name;
    const text = `${name} ${object.score.toFixed(2)}`;
    const width = context.measureText(text).width + 2 * padding;
    const left = Math.max(0, Math.min(object.box[0] * scale - 1.25, room.width - width));
    const first = Math.max(0, object.box[1] * scale - height);
    const tops = Array.from({ length: PLACES }, (_, i) => Math.min(first + i * height, room.height - height));
    const top = tops.find((y) => !placed.some((label) => overlap(label, { left, top: y, width, height }))) ?? first;
    placed.push({ object, text, font, padding, left, top, width, height });
  }
  return placed;
}

function overlap(a, b) {
  return a.left < b.left + b.width && b.left < a.left + a.width && a.top < b.top + b.height && b.top < a.top + a.height;
}

function drawLabel(context, { object, text, font, padding, left, top, width, height }, opacity) {
  context.globalAlpha = opacity;
  context.font = font;
  context.textBaseline = "middle";
  context.fillStyle = object.color;
  context.beginPath();
  context.roundRect(left, top, width, height, 3);
  context.fill();
  context.fillStyle = "#000";
  context.fillText(text, left + padding, top + height / 2 + 0.5);
  context.globalAlpha = 1;
}
