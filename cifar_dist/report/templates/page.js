"use strict";

const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};

// Tables of the class `sortable`: a button in each header.

const UNITS = { h: 3600, min: 60, s: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };
const NUMBER = /^[-+−]?\d[\d,]*\.?\d*(e[-+]?\d+)?(?![^\s)])/i;

const written = (cell) => (cell ? cell.dataset.sort ?? cell.textContent.trim() : "");
const isMissing = (text) => text === "" || text === "–";

// "1 min 02 s" and "3.4 MB" count in seconds and bytes; other units are the same along a column.
function amount(text) {
  const plain = text.replaceAll(",", "").replace("−", "-");
  const parts = [...plain.matchAll(/(-?[\d.]+(?:e[-+]?\d+)?)\s?(h|min|s|kB|MB|GB|TB)(?!\S)/gi)];
  if (!parts.length) return Number.parseFloat(plain);
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * (UNITS[unit] ?? 1), 0);
}

function sort(table, header) {
  const column = header.cellIndex;
  const rows = [...table.tBodies[0].rows].map((row) => [row, written(row.cells[column])]);
  const isNumeric = rows.every(([, text]) => isMissing(text) || NUMBER.test(text));
  const before = header.getAttribute("aria-sort");
  const isFalling = before ? before === "ascending" : isNumeric;
  const compare = isNumeric
    ? (a, b) => amount(a) - amount(b)
    : (a, b) => a.localeCompare(b, undefined, { numeric: true });
  rows.sort(([, a], [, b]) => {
    if (isMissing(a) || isMissing(b)) return isMissing(a) - isMissing(b);
    return isFalling ? compare(b, a) : compare(a, b);
  });
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", isFalling ? "descending" : "ascending");
  table.tBodies[0].append(...rows.map(([row]) => row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const header of table.tHead?.rows[0].cells ?? []) {
    const button = make("button", { type: "button", className: "sort" }, ...header.childNodes);
    button.addEventListener("click", () => sort(table, header));
    header.append(button);
  }
}

// The confusion matrix: its cells open the images behind them.

const cells = document.getElementById("confusion-cells");

function thumbnail(sheet, data, [place, image, confidence], predicted) {
  const share = `${(100 * confidence).toFixed(1)} %`;
  const label = `Test image ${image}: ${predicted}, ${share}`;
  const canvas = make("canvas", { width: 32, height: 32, role: "img", ariaLabel: label });
  const [left, top] = [place % data.columns, Math.floor(place / data.columns)];
  canvas.getContext("2d").drawImage(sheet, 32 * left, 32 * top, 32, 32, 0, 0, 32, 32);
  return make("figure", {}, canvas, make("figcaption", {}, share, make("br"), `image ${image}`));
}

function openCell(dialog, data, cell, label) {
  const predicted = data.classes[cell.split("-")[1]];
  const shown = data.cells[cell];
  const sheet = document.getElementById("confusion-sheet");
  const close = make("button", { type: "button" }, "Close");
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(
    make("h3", { id: "cell-title" }, label),
    make("p", { className: "note" }, `The ${shown.length} surest, with the confidence in ${predicted}.`),
    make("div", { className: "thumbnails" }, ...shown.map((entry) => thumbnail(sheet, data, entry, predicted))),
    close,
  );
  dialog.showModal();
}

function title(data, cell, count) {
  const [true_, predicted] = cell.split("-").map((index) => data.classes[index]);
  const what = true_ === predicted ? `${true_} recognized` : `${true_} taken for ${predicted}`;
  return `${what}: ${count} ${count === "1" ? "image" : "images"}`;
}

if (cells) {
  const data = JSON.parse(cells.textContent);
  const dialog = make("dialog");
  dialog.setAttribute("aria-labelledby", "cell-title");
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  for (const place of document.querySelectorAll("td[data-cell]")) {
    const { cell } = place.dataset;
    if (!data.cells[cell]?.length) continue;
    const label = title(data, cell, place.textContent);
    const button = make("button", { type: "button", ariaLabel: label }, place.textContent);
    button.addEventListener("click", () => openCell(dialog, data, cell, label));
    place.replaceChildren(button);
  }
  for (const hint of document.querySelectorAll(".scripted")) hint.hidden = false;
}

// Learning curves: the values of the epoch under the pointer.

function readOut(figure) {
  const { box: [left, top, right, bottom], x, epochs, curves, share } = JSON.parse(figure.dataset.readout);
  const line = make("div", { className: "line", hidden: true });
  const values = make("div", { className: "values", hidden: true });
  const show = (isShown) => (line.hidden = values.hidden = !isShown);
  const write = (value) => (value === null ? "–" : share ? `${(100 * value).toFixed(2)} %` : value.toFixed(4));
  Object.assign(line.style, { top: `${100 * top}%`, height: `${100 * (bottom - top)}%` });
  figure.append(line, values);
  figure.addEventListener("pointerleave", () => show(false));
  figure.addEventListener("pointermove", (event) => {
    const area = figure.getBoundingClientRect();
    const at = (event.clientX - area.left) / area.width;
    const epoch = x[0] + ((at - left) / (right - left)) * (x[1] - x[0]);
    const distances = epochs.map((other) => Math.abs(other - epoch));
    const index = distances.indexOf(Math.min(...distances));
    const place = left + ((epochs[index] - x[0]) / (x[1] - x[0])) * (right - left);
    line.style.left = `${100 * place}%`;
    values.style.left = place < 0.5 ? `${100 * place + 2}%` : "auto";
    values.style.right = place < 0.5 ? "auto" : `${100 * (1 - place) + 2}%`;
    values.style.top = `${100 * top}%`;
    values.replaceChildren(make("b", {}, `Epoch ${epochs[index]}`));
    for (const curve of curves) {
      const dot = make("i", { style: `background: ${curve.color}` });
      values.append(make("span", {}, dot, `${curve.label} ${write(curve.values[index])}`));
    }
    show(at >= left - 0.02 && at <= right + 0.02);
  });
}

document.querySelectorAll("figure[data-readout]").forEach(readOut);

// Blocks of the class `copy`: a button that copies them.

for (const block of document.querySelectorAll("pre.copy")) {
  const code = make("code", {}, ...block.childNodes);
  const button = make("button", { type: "button", className: "copier" }, "Copy");
  button.addEventListener("click", () => {
    const copied = navigator.clipboard?.writeText(code.textContent) ?? Promise.reject();
    // A page without a secure origin may only select.
    const select = () => getSelection().selectAllChildren(code);
    copied.then(() => (button.textContent = "Copied"), select);
  });
  const frame = make("div", { className: "copied" });
  block.replaceWith(frame);
  block.append(code);
  frame.append(block, button);
}
