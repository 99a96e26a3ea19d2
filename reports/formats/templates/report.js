"use strict";
// The page is whole without this: it adds sorting, and scroll regions that a keyboard reaches where a table is too wide.
const collator = new Intl.Collator("en", { numeric: true });
const next = { ascending: "descending", descending: "" };

for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];
  if (rows.length < 2) continue;
  table.caption.firstElementChild.append(" (sort by the buttons in the column headings)");
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
