"use strict";
// The page is whole without this: it adds sorting, and scroll regions that a keyboard reaches where a table is too wide.
const collator = new Intl.Collator("en", { numeric: true });
const next = { ascending: "descending", descending: "" };

for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];
  if (rows.length < 2) continue;
  const hint = document.createElement("span");
  hint.className = "hidden";
  hint.append(" (sort by the buttons in the column headings)");
  table.caption.append(hint);
  fold(table, rows.length);
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const sorted = heading.getAttribute("aria-sort");
      const order = sorted ? next[sorted] : "ascending";
      for (const one of headings) one.removeAttribute("aria-sort");
      if (order) heading.setAttribute("aria-sort", order);
      body.append(...(order ? [...rows].sort(by(column, order === "ascending" ? 1 : -1)) : rows));
    });
  });
}

// A long table begins with 20 rows; the button shows all.
function fold(table, rows) {
  if (rows <= 30) return;
  table.classList.add("folded");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "more";
  const update = () => {
    const folded = table.classList.contains("folded");
    button.setAttribute("aria-expanded", String(!folded));
    button.textContent = folded ? `Show all ${rows} rows` : "Show the first 20 rows";
  };
  button.addEventListener("click", () => {
    table.classList.toggle("folded");
    update();
  });
  update();
  table.closest(".table").after(button);
}

// Cells without a number, such as "none", stay below those with one in either order.
function by(column, sign) {
  return (one, other) => {
    const [a, b] = [one.cells[column], other.cells[column]];
    const [p, q] = [a.dataset.value, b.dataset.value];
    if (p !== undefined && q !== undefined) return sign * (Number(p) - Number(q));
    if (p !== undefined || q !== undefined) return p === undefined ? 1 : -1;
    return sign * collator.compare(a.textContent, b.textContent);
  };
}

const sizes = new ResizeObserver((entries) => {
  for (const region of new Set(entries.map((entry) => entry.target.closest(".scroll")))) {
    const wide = region.scrollWidth > region.clientWidth;
    region.classList.toggle("wide", wide);
    for (const [name, value] of [["tabindex", "0"], ["role", "region"], ["aria-label", region.dataset.label]]) {
      if (wide) region.setAttribute(name, value);
      else region.removeAttribute(name);
    }
  }
});
for (const region of document.querySelectorAll(".scroll")) {
  sizes.observe(region);
  sizes.observe(region.firstElementChild);
}

// The values of a point or curve: its title, shown at once beside the pointer, also a little beside a thin line.
const box = document.createElement("div");
box.className = "tip-box";
box.hidden = true;
box.setAttribute("aria-hidden", "true");
document.body.append(box);
for (const title of document.querySelectorAll("svg .tip > title")) {
  title.parentNode.dataset.tip = title.textContent;
  title.remove();
}
const beside = [[0, 0], [4, 0], [-4, 0], [0, 4], [0, -4]];
for (const svg of document.querySelectorAll("figure svg")) {
  svg.addEventListener("pointermove", (event) => {
    const near = beside.map(([x, y]) => document.elementFromPoint(event.clientX + x, event.clientY + y));
    const tip = near.map((element) => element && element.closest(".tip")).find(Boolean);
    box.hidden = !tip;
    if (!tip) return;
    box.textContent = tip.dataset.tip;
    box.style.left = `${Math.max(0, Math.min(event.clientX + 12, innerWidth - box.offsetWidth - 4))}px`;
    box.style.top = `${Math.max(0, Math.min(event.clientY + 14, innerHeight - box.offsetHeight - 4))}px`;
  });
  svg.addEventListener("pointerleave", () => {
    box.hidden = true;
  });
}

// A spreadsheet reads a pasted cell as if it were typed. Cells with text that it would read as a formula get an apostrophe.
const formula = /^\s*[=+\-@＝＋－＠]|^[\t\r\n]/;
const isFormula = (cell) => cell.dataset.value === undefined && formula.test(cell.textContent);
document.addEventListener("copy", (event) => {
  const selection = getSelection();
  if (!selection.rangeCount) return;
  const range = selection.getRangeAt(0);
  const inside = range.commonAncestorContainer;
  const around = (inside.closest ? inside : inside.parentElement).closest("td, th");
  const copied = document.createElement("div");
  if (around) {
    const cell = document.createElement("td");
    Object.assign(cell.dataset, around.dataset);
    cell.append(range.cloneContents());
    copied.append(cell);
  } else copied.append(range.cloneContents());
  const cells = [...copied.querySelectorAll("td, th")].filter(isFormula);
  if (!cells.length) return;
  for (const cell of cells) cell.prepend("'");
  event.clipboardData.setData("text/html", copied.innerHTML);
  for (const row of copied.querySelectorAll("tr")) {
    row.replaceWith(`${[...row.cells].map((cell) => cell.textContent.trim()).join("\t")}\n`);
  }
  event.clipboardData.setData("text/plain", copied.textContent.replace(/ *\n[\n ]*/g, "\n"));
  event.preventDefault();
});
