// The page: where pictures come from, and what is said about them.

import { Camera } from "./camera.js";
import { loadDetector } from "./detector.js";
import { fillTable, objectsOf, summaryOf } from "./objects.js";
import { View } from "./view.js";

const JPEG = [0xff, 0xd8, 0xff];
const at = (id) => document.getElementById(id);
const view = new View(at("stage"), at("view"));
const camera = new Camera(at("video"));
let about, detector;
let newest = 0; // number of the newest picture; results of older ones are not shown
let found = null; // all objects of the current picture

function say(text, isError = false) {
  at("status").textContent = text;
  at("status").classList.toggle("error", isError);
}

function complain(error) {
  say(error.message, true);
}

// --- the detector -----------------------------------------------------------------------------------------

async function start() {
  say("Loading the detector.");
  const response = await fetch("about.json");
  if (!response.ok) throw new Error(`about.json: the server answers ${response.status}`);
  about = await response.json();
  const [height, width] = about.image_size;
  const classes = about.class_names?.filter(Boolean).length ?? about.num_classes; // some ids may have no name
  at("about").textContent = `${about.name}, ${width} × ${height} pixels, ${classes} classes`;
  at("threshold").min = about.confidence_threshold; // the network says nothing below it
  showObjects();
  if (!("OffscreenCanvas" in window)) {
    throw new Error("This browser is too old: Chrome or Edge 111, Firefox 114 or Safari 16.4 is needed.");
  }
  const find = await loadDetector(about, showProgress);
  endProgress();
  if (newest === 0) say("Ready.");
  return find;
}

function showProgress(loaded, total) {
  const [done, all] = [loaded, total].map((bytes) => (bytes / 1e6).toFixed(1));
  at("loaded").textContent = `${done} of ${all} MB`; // no part of the status, which is read aloud
  at("progress").hidden = false;
  at("progress").value = loaded / total;
}

function endProgress() {
  at("progress").hidden = true;
  at("loaded").textContent = "";
}

// --- pictures ---------------------------------------------------------------------------------------------

async function lookAtFile(file) {
  stopCamera();
  const number = ++newest;
  forget();
  let bitmap;
  try {
    // The pixels as they are in the file, upright.
    const options = { imageOrientation: "from-image", colorSpaceConversion: "none" };
    bitmap = await createImageBitmap(file, options);
  } catch {
    if (number === newest) say(`${file.name}: this is not a picture that the browser can read.`, true);
    return;
  }
  if (number !== newest) return bitmap.close();
  show(bitmap);
  say("Looking for objects.");
  // multibox reads large JPEG files at a half, quarter or eighth of their sides, and others in full.
  const head = new Uint8Array(await file.slice(0, JPEG.length).arrayBuffer());
  const find = await detector;
  if (number !== newest) return bitmap.close();
  const result = await find(bitmap, JPEG.every((byte, i) => head[i] === byte));
  if (number !== newest) return;
  say("");
  showFound(result);
}

function forget() {
  found = null;
  at("speed").textContent = "";
  at("summary").textContent = "Nothing yet.";
  fillTable(at("objects"), []);
  view.setObjects([]);
}

function show(bitmap) {
  at("hint").hidden = true;
  at("stage").classList.add("filled");
  view.show(bitmap);
}

function showFound(result) {
  found = objectsOf(result, about.class_names);
  const { width, height, milliseconds } = result;
  at("speed").textContent = `${width} × ${height}, network ${milliseconds.toFixed(0)} ms`;
  showObjects();
}

function showObjects() {
  const least = Number(at("threshold").value);
  at("threshold-value").textContent = least.toFixed(2);
  if (!found) return;
  const objects = found.filter(({ score }) => score >= least);
  const nothing = `No object found with a score of ${least.toFixed(2)} or more.`;
  at("summary").ariaLive = camera.isOn ? "off" : "polite"; // frames are too many to be read aloud
  at("summary").textContent = objects.length ? summaryOf(objects) : nothing;
  view.setObjects(objects);
  fillTable(at("objects"), objects, (object) => view.choose(object));
}

// --- the camera -------------------------------------------------------------------------------------------

async function switchCamera() {
  if (camera.isOn) {
    stopCamera();
    return say("The camera is off.");
  }
  const number = ++newest;
  say("Starting the camera.");
  await camera.start(stopCamera);
  if (number !== newest) return camera.stop();
  at("camera").setAttribute("aria-pressed", "true");
  at("camera").textContent = "Stop the camera";
  say("The camera is on.");
  const find = await detector;
  while (camera.isOn && number === newest) {
    const bitmap = await camera.frame();
    if (!bitmap) break;
    const frame = await createImageBitmap(bitmap);
    const result = await find(bitmap, true);
    if (camera.isOn && number === newest) {
      show(frame);
      showFound(result);
    }
    frame.close();
  }
}

function stopCamera() {
  camera.stop();
  at("camera").setAttribute("aria-pressed", "false");
  at("camera").textContent = "Use the camera";
}

// --- events -----------------------------------------------------------------------------------------------

function lookAtFirst(files) {
  if (files.length) lookAtFile(files[0]).catch(complain);
}

at("file").addEventListener("change", ({ target }) => {
  lookAtFirst([...target.files]);
  target.value = ""; // the same file can be chosen again
});
at("camera").addEventListener("click", () =>
  switchCamera().catch((error) => {
    stopCamera();
    complain(error);
  }),
);
at("threshold").addEventListener("input", showObjects);
document.addEventListener("paste", ({ clipboardData }) => lookAtFirst(clipboardData.files));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  at("stage").classList.add("over");
});
document.addEventListener("dragleave", ({ relatedTarget }) => {
  if (!relatedTarget) at("stage").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  at("stage").classList.remove("over");
  lookAtFirst(event.dataTransfer.files);
});

detector = start();
detector.catch((error) => {
  endProgress();
  complain(error);
});
