// Runs the network beside the page, which stays responsive meanwhile.

import * as ort from "./ort.wasm.bundle.min.js";
import { networkPixels } from "./pixels.js";

const FILES = ["model.onnx", "ort-wasm-simd-threaded.wasm"];
let about, session;

async function load(described) {
  about = described;
  const total = FILES.reduce((sum, name) => sum + about.bytes[name], 0);
  let loaded = 0;
  const count = (bytes) => postMessage({ kind: "progress", loaded: (loaded += bytes), total });
  const [model, wasm] = await Promise.all(FILES.map((name) => download(name, count)));
  ort.env.wasm.numThreads = 1; // more need headers that a plain web server does not send
  ort.env.wasm.wasmBinary = wasm;
  ort.env.logLevel = "error";
  session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"], logSeverityLevel: 3 });
  const [height, width] = about.image_size;
  await run(new Uint8Array(height * width * 3)); // the first run takes longer than the others
  postMessage({ kind: "ready" });
}

async function download(name, count) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name}: the server answers ${response.status}`);
  const parts = [];
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    count(value.length);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

async function run(pixels) {
  const image = new ort.Tensor("uint8", pixels, [1, ...about.image_size, 3]);
  const start = performance.now();
  const { detections } = await session.run({ image });
  return { rows: detections.data, milliseconds: performance.now() - start };
}

async function detect({ bitmap, reduce }) {
  const { width, height } = bitmap;
  const pixels = networkPixels(bitmap, about.image_size, reduce);
  bitmap.close();
  postMessage({ kind: "found", width, height, ...(await run(pixels)) });
}

onmessage = async ({ data }) => {
  try {
    await (data.about ? load(data.about) : detect(data));
  } catch (error) {
    postMessage({ kind: "error", message: String(error?.message ?? error).split("\n")[0] });
  }
};
