// A press on a heading sorts by its column, another one turns the order round. Numbers sort as numbers.
const body = document.querySelector("tbody");
const headings = [...document.querySelectorAll("thead th")];

function compare(a, b) {
  const difference = Number(a) - Number(b);
  return Number.isNaN(difference) ? a.localeCompare(b) : difference;
}

headings.forEach((heading, column) => {
  heading.querySelector("button").addEventListener("click", () => {
    const order = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    const way = order === "ascending" ? 1 : -1;
    const text = (row) => row.cells[column].textContent;
    body.append(...[...body.rows].sort((a, b) => way * compare(text(a), text(b))));
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", order);
  });
});
