"use strict";
(() => {
  const valueOf = (row, column) => row.cells[column].dataset.value;

  const sortBy = (table, column, head) => {
    const isText = head.classList.contains("text");
    const now = head.getAttribute("aria-sort");
    // The first click shows names from A on, and the largest numbers first.
    const next = now ? (now === "ascending" ? "descending" : "ascending") : isText ? "ascending" : "descending";
    const sign = next === "ascending" ? 1 : -1;
    const body = table.tBodies[0];
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [valueOf(a, column), valueOf(b, column)];
      return sign * (isText ? x.localeCompare(y) : Number(x) - Number(y));
    });
    body.append(...rows);
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", next);
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => sortBy(table, column, head));
    });
  }

  const kind = document.getElementById("by-kind");
  const label = document.getElementById("by-class");
  if (kind) {
    const pictures = [...document.querySelectorAll(".pictures > li")];
    const more = document.getElementById("more");
    const PAGE = 24;
    let limit = PAGE;
    const show = () => {
      const fitting = pictures.filter(
        ({ dataset }) =>
          (!kind.value || dataset.kind === kind.value) &&
          (!label.value || dataset.labels.includes(` ${label.value} `)),
      );
      const shown = new Set(fitting.slice(0, limit));
      for (const picture of pictures) picture.hidden = !shown.has(picture);
      const all = fitting.length === pictures.length ? "" : ` (of ${pictures.length} in all)`;
      document.getElementById("shown").value = `${shown.size} of ${fitting.length} shown${all}`;
      more.hidden = shown.size === fitting.length;
    };
    const filter = () => {
      limit = PAGE;
      show();
    };
    kind.addEventListener("change", filter);
    label.addEventListener("change", filter);
    more.addEventListener("click", () => {
      const next = pictures.filter((picture) => !picture.hidden).length;
      limit += PAGE;
      show();
      // The button may be gone, and moves below the new pictures: the focus goes to the first of them.
      pictures.filter((picture) => !picture.hidden)[next]?.focus();
    });
    filter(); // a browser keeps the choice when it loads the page again
  }

  const highlight = document.getElementById("highlight");
  const mark = () => {
    for (const path of document.querySelectorAll("path[data-class]")) {
      const chosen = path.dataset.class === highlight.value;
      path.classList.toggle("chosen", chosen);
      if (chosen) path.parentElement.append(path); // above the others
    }
  };
  highlight.addEventListener("change", mark);
  mark();
})();
