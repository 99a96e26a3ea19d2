// What the theme leaves out for readers who use a keyboard or a screen reader: wide code and tables
// can be scrolled by keyboard, and the search has a name.
const SCROLLED = ".md-typeset pre > code, .md-typeset__scrollwrap";

function reachable() {
  document.querySelector(".md-search[role=dialog]")?.setAttribute("aria-label", "Search");
  document.querySelectorAll(".md-code__nav").forEach((buttons, index) => {
    buttons.setAttribute("aria-label", `Code block ${index + 1}`);
  });
  for (const element of document.querySelectorAll(SCROLLED)) {
    if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
  }
}

for (const name of ["load", "resize"]) window.addEventListener(name, reachable);
