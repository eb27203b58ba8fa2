// Found objects: what the network's rows mean, and the table of them.

const COLUMNS = 6; // class id, score, xmin, ymin, xmax, ymax, relative to the picture

/** Objects of a picture, best first, with boxes in pixels, clipped to the picture. */
export function objectsOf({ rows, width, height }, classNames) {
  const objects = [];
  for (let at = 0; at < rows.length && rows[at + 1] > 0; at += COLUMNS) {
    const [id, score, ...corners] = rows.subarray(at, at + COLUMNS);
    const box = corners.map((v, i) => Math.max(0, Math.min(1, v)) * (i % 2 ? height : width));
    objects.push({ id, score, box, name: classNames?.[id - 1] ?? `class ${id}`, color: colorOf(id) });
  }
  return objects;
}

/** A color for each class, always the same; black text can be read on it. */
function colorOf(id) {
  return `oklch(0.8 0.15 ${Math.round(id * 137.508) % 360})`;
}

/** "3 objects: 2 dog, 1 person" */
export function summaryOf(objects) {
  const counts = new Map();
  for (const { name } of objects) counts.set(name, (counts.get(name) ?? 0) + 1);
  const parts = [...counts].map(([name, count]) => `${count} ${name}`);
  return `${objects.length} ${objects.length === 1 ? "object" : "objects"}: ${parts.join(", ")}`;
}

/**
 * Fills the table.
 * @param {HTMLTableElement} table
 * @param {object[]} objects
 * @param {(object: object | null) => void} onChosen called for the object that the pointer or focus is on
 */
export function fillTable(table, objects, onChosen) {
  table.tBodies[0].replaceChildren(...objects.map((object) => rowOf(object, onChosen)));
  table.hidden = !objects.length;
}

// All texts are set as text: names of classes come from anywhere.
function rowOf(object, onChosen) {
  const row = document.createElement("tr");
  const button = document.createElement("button");
  button.type = "button";
  button.append(swatch(object.color), element("span", object.name));
  const score = element("data", object.score.toFixed(3));
  score.value = object.score;
  const box = element("data", object.box.map(Math.round).join(", "));
  box.value = object.box.join(" ");
  for (const content of [button, score, box]) row.insertCell().append(content);
  row.addEventListener("pointerenter", () => onChosen(object));
  row.addEventListener("pointerleave", () => onChosen(null));
  row.addEventListener("focusin", () => onChosen(object));
  row.addEventListener("focusout", () => onChosen(null));
  return row;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function swatch(color) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const square = document.createElementNS(svg.namespaceURI, "rect");
  svg.setAttribute("viewBox", "0 0 10 10");
  svg.setAttribute("aria-hidden", "true");
  for (const [name, value] of Object.entries({ width: 10, height: 10, rx: 2, fill: color })) {
    square.setAttribute(name, value);
  }
  svg.append(square);
  return svg;
}
