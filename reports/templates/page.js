"use strict";

// The page is complete without this script. It adds sorting of tables and highlighting of an arm in all figures.

const ORDERS = { none: "ascending", ascending: "descending", descending: "none" };
const RANK = "rank";

function value(row, column, numeric) {
  const cell = row.cells[column];
  const text = cell?.dataset.sort ?? (numeric ? "" : cell?.textContent.trim() ?? "");
  if (!numeric) return text;
  return text === "" || Number.isNaN(Number(text)) ? null : Number(text);
}

function compare(one, other) {
  return typeof one === "number" ? one - other : one.localeCompare(other, "en", { numeric: true });
}

function sort(table, heading) {
  const order = ORDERS[heading.getAttribute("aria-sort")];
  for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", order);
  const column = heading.cellIndex;
  const numeric = heading.classList.contains("number");
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, rank: Number(row.dataset[RANK]), key: value(row, column, numeric) }));
  rows.sort((one, other) => {
    if (order === "none") return one.rank - other.rank;
    // Rows without a value come last in both directions.
    const missing = (one.key === null || one.key === "") - (other.key === null || other.key === "");
    if (missing) return missing;
    const found = one.key === null ? 0 : compare(one.key, other.key);
    return (order === "ascending" ? found : -found) || one.rank - other.rank;
  });
  table.tBodies[0].append(...rows.map(({ row }) => row));
}

for (const table of document.querySelectorAll("table")) {
  [...table.tBodies[0].rows].forEach((row, rank) => { row.dataset[RANK] = rank; });
  for (const heading of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => sort(table, heading));
  }
}

function choose(arm) {
  document.body.classList.toggle("choosing", arm !== undefined);
  for (const element of document.querySelectorAll("[data-arm]")) {
    element.classList.toggle("lit", element.dataset.arm === arm);
  }
}

const armOf = (target) => target instanceof Element ? target.closest("[data-arm]")?.dataset.arm : undefined;
const focused = () => armOf(document.activeElement);

document.addEventListener("pointerover", (event) => choose(armOf(event.target) ?? focused()));
document.documentElement.addEventListener("pointerleave", () => choose(focused()));
document.addEventListener("focusin", () => choose(focused()));
document.addEventListener("focusout", (event) => choose(armOf(event.relatedTarget)));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.activeElement?.blur();
});

for (const row of document.querySelectorAll("tr[data-arm]")) row.tabIndex = 0;

// A box is focusable with the keyboard only if it scrolls.
function stops() {
  for (const box of document.querySelectorAll(".scroll")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

stops();
window.addEventListener("resize", stops);
