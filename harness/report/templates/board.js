// A press on a heading sorts by its column, another one reverses the order. Numbers sort as
// numbers, and cells that are empty come last either way.
// The filter shows the rows that hold every word typed, and their points in the charts.
const body = document.querySelector("tbody");
const headings = [...document.querySelectorAll("thead th")];
const filter = document.querySelector("#filter");
const shown = document.querySelector("output");

function compare(a, b) {
  const difference = parseFloat(a) - parseFloat(b);
  return Number.isNaN(difference) ? a.localeCompare(b) : difference;
}

headings.forEach((heading, column) => {
  const numbers = heading.classList.contains("number");
  heading.querySelector("button").addEventListener("click", () => {
    const before = heading.getAttribute("aria-sort") ?? (numbers ? "ascending" : "descending");
    const order = before === "ascending" ? "descending" : "ascending";
    const way = order === "ascending" ? 1 : -1;
    const text = (row) => row.cells[column].textContent;
    const rows = [...body.rows].sort((a, b) => {
      const [left, right] = [text(a), text(b)];
      if (!left || !right) return !left - !right;
      return way * (numbers ? compare(left, right) : left.localeCompare(right));
    });
    body.append(...rows);
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", order);
  });
});

function show() {
  const words = filter.value.toLowerCase().split(/\s+/);
  const rows = [...body.rows];
  for (const row of rows) {
    const text = [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    for (const point of document.querySelectorAll(`[data-row="${row.id.slice(4)}"]`)) {
      point.style.display = row.hidden ? "none" : "";
    }
  }
  const left = rows.filter((row) => !row.hidden).length;
  shown.textContent = words.join("") ? `${left} of ${rows.length}` : "";
}

filter.addEventListener("input", show);
show(); // a browser may fill in what was typed before the page was loaded again
