// Pixels of a picture at the size of the network, as OpenCV makes them.

const STRIP = 512; // rows that are read at once, a multiple of 8: a canvas of a whole large picture may be refused
const ONE = 2048; // OpenCV's weights of two neighbors are integers that sum up to this

/**
 * The pixels of a picture, resized.
 * @param {ImageBitmap} bitmap
 * @param {[number, number]} size height and width of the result
 * @param {boolean} reduce whether large pictures are averaged to a half, quarter or eighth of their sides first
 * @returns {Uint8Array} height * width * 3 numbers, RGB
 */
export function networkPixels(bitmap, [height, width], reduce) {
  const enough = Math.min(bitmap.width / width, bitmap.height / height);
  const reduction = reduce ? [8, 4, 2, 1].find((r) => r <= enough) ?? 1 : 1;
  const { pixels, columns, rows } = reducedPixels(bitmap, reduction);
  return resized(pixels, [rows, columns], [height, width]);
}

function reducedPixels(bitmap, reduction) {
  const columns = Math.ceil(bitmap.width / reduction);
  const rows = Math.ceil(bitmap.height / reduction);
  const pixels = new Uint8Array(rows * columns * 3);
  const canvas = new OffscreenCanvas(bitmap.width, Math.min(STRIP, bitmap.height));
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  for (let top = 0; top < bitmap.height; top += STRIP) {
    const count = Math.min(STRIP, bitmap.height - top);
    context.drawImage(bitmap, 0, top, bitmap.width, count, 0, 0, bitmap.width, count);
    const { data } = context.getImageData(0, 0, bitmap.width, count);
    const part = pixels.subarray((top / reduction) * columns * 3);
    (reduction === 1 ? dropAlpha : averageBlocks)(data, bitmap.width, part, reduction);
  }
  return { pixels, columns, rows };
}

function dropAlpha(data, width, part) {
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    part[to] = data[from];
    part[to + 1] = data[from + 1];
    part[to + 2] = data[from + 2];
  }
}

/** Means of blocks of pixels. Those at the right and the bottom may be smaller. */
function averageBlocks(data, width, part, side) {
  const height = data.length / 4 / width;
  let to = 0;
  for (let top = 0; top < height; top += side) {
    for (let left = 0; left < width; left += side) {
      const bottom = Math.min(top + side, height);
      const right = Math.min(left + side, width);
      let [red, green, blue] = [0, 0, 0];
      for (let y = top; y < bottom; y++) {
        for (let at = (y * width + left) * 4; at < (y * width + right) * 4; at += 4) {
          red += data[at];
          green += data[at + 1];
          blue += data[at + 2];
        }
      }
      const count = (bottom - top) * (right - left);
      part[to++] = Math.round(red / count);
      part[to++] = Math.round(green / count);
      part[to++] = Math.round(blue / count);
    }
  }
}

/**
 * Resizes as OpenCV's INTER_LINEAR does on uint8, with the same integers, hence to the same numbers.
 * @param {Uint8Array} pixels rows * columns * 3 numbers
 * @param {[number, number]} from rows and columns
 * @param {[number, number]} to height and width of the result
 */
export function resized(pixels, [rows, columns], [height, width]) {
  const across = neighbors(columns, width, true);
  const down = neighbors(rows, height, false);
  const result = new Uint8Array(height * width * 3);
  for (let y = 0; y < height; y++) {
    const first = down.low[y] * columns;
    const second = down.high[y] * columns;
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < 3; channel++) {
        const left = across.low[x] * 3 + channel;
        const right = across.high[x] * 3 + channel;
        const one = pixels[first * 3 + left] * across.near[x] + pixels[first * 3 + right] * across.far[x];
        const two = pixels[second * 3 + left] * across.near[x] + pixels[second * 3 + right] * across.far[x];
        const sum = ((down.near[y] * (one >> 4)) >> 16) + ((down.far[y] * (two >> 4)) >> 16);
        result[(y * width + x) * 3 + channel] = (sum + 2) >> 2;
      }
    }
  }
  return result;
}

/** For each new pixel of an axis its two neighbors in the old one, and their weights. */
function neighbors(before, after, isAcross) {
  const [low, high, near, far] = Array.from({ length: 4 }, () => new Int32Array(after));
  for (let i = 0; i < after; i++) {
    const place = Math.fround((i + 0.5) * (before / after) - 0.5);
    const floor = Math.floor(place);
    // OpenCV does not weight two equal neighbors across, and does so down; it rounds twice then.
    const share = isAcross && (floor < 0 || floor >= before - 1) ? 0 : place - floor;
    low[i] = Math.max(0, Math.min(floor, before - 1));
    high[i] = Math.max(0, Math.min(floor + 1, before - 1));
    far[i] = roundHalfEven(share * ONE);
    near[i] = roundHalfEven((1 - share) * ONE);
  }
  return { low, high, near, far };
}

function roundHalfEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}
