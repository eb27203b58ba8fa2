// Draws a picture and the boxes of its objects at the resolution of the screen.

const LARGEST = 2560; // side of the picture that is kept to be drawn again
const MAX_ENLARGEMENT = 4;
const SMALL = 600; // width of a picture on the screen below which labels are smaller
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
    const scale = width / this.#size.width;
    const last = this.#chosen ? [this.#chosen] : [];
    const others = this.#objects.filter((object) => object !== this.#chosen).reverse(); // the best on top
    for (const object of others) drawBox(context, object, scale, this.#chosen ? 0.25 : 1);
    for (const object of others) drawLabel(context, object, scale, width, this.#chosen ? 0.25 : 1);
    for (const object of last) {
      drawBox(context, object, scale, 1);
      drawLabel(context, object, scale, width, 1);
    }
  }

  #displayed() {
    const { clientWidth, clientHeight } = this.#stage;
    const isPhone = getComputedStyle(this.#stage).maxHeight === "none";
    const room = isPhone ? window.innerHeight * PHONE_HEIGHT : clientHeight;
    const scale = Math.min(clientWidth / this.#size.width, room / this.#size.height, MAX_ENLARGEMENT);
    return { width: Math.floor(this.#size.width * scale), height: Math.floor(this.#size.height * scale) };
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

function drawLabel(context, { box, color, name, score }, scale, width, opacity) {
  const text = `${name.length > 40 ? `${name.slice(0, 39)}…` : name} ${score.toFixed(2)}`;
  const [padding, height, letters] = width < SMALL ? [3, 15, 11] : [5, 20, 13];
  context.globalAlpha = opacity;
  context.font = `600 ${letters}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const wide = context.measureText(text).width + 2 * padding;
  const left = Math.max(0, Math.min(box[0] * scale - 1.25, width - wide));
  const above = box[1] * scale - height;
  const top = above >= 0 ? above : box[1] * scale;
  context.fillStyle = color;
  context.beginPath();
  context.roundRect(left, top, wide, height, 3);
  context.fill();
  context.fillStyle = "#000";
  context.fillText(text, left + padding, top + height / 2 + 0.5);
  context.globalAlpha = 1;
}
