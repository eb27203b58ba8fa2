// The detector as the page sees it: a promise for each picture.

/**
 * Loads the detector in a worker.
 * @param {object} about what about.json says
 * @param {(loaded: number, total: number) => void} onProgress bytes
 * @returns {Promise<(bitmap: ImageBitmap, reduce: boolean) => Promise<object>>} function that finds objects in a
 *   picture, which it closes: {rows, milliseconds, width, height}. One picture is looked at at a time.
 */
export async function loadDetector(about, onProgress) {
  const worker = new Worker("worker.js", { type: "module" });
  let waiting; // functions that settle the promise of the current request
  const request = (message, transfer) =>
    new Promise((resolve, reject) => {
      waiting = { resolve, reject };
      worker.postMessage(message, transfer);
    });
  worker.onmessage = ({ data }) => {
    if (data.kind === "progress") onProgress(data.loaded, data.total);
    else if (data.kind === "error") waiting.reject(new Error(data.message));
    else waiting.resolve(data);
  };
  worker.onerror = (event) => waiting.reject(new Error(event.message || "the program in worker.js does not start"));
  try {
    await request({ about });
  } catch (error) {
    worker.terminate(); // it may be loading another file still
    throw error;
  }
  let last = Promise.resolve();
  return (bitmap, reduce) => {
    const next = () => request({ bitmap, reduce }, [bitmap]);
    return (last = last.then(next, next));
  };
}
