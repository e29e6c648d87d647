// A press on a heading sorts by it; another press turns the order round. Cells that are numbers sort as numbers.
const body = document.querySelector("tbody");
const headings = [...document.querySelectorAll("thead th")];
const order = new Intl.Collator("en", { numeric: false });
function compare(a, b) {
  const difference = Number(a) - Number(b);
  return Number.isNaN(difference) ? order.compare(a, b) : difference;
}
headings.forEach((heading, column) => {
  heading.firstElementChild.addEventListener("click", () => {
    const way = heading.ariaSort === "ascending" ? -1 : 1;
    const text = (row) => row.cells[column].textContent;
    const rows = [...body.rows].sort((a, b) => way * compare(text(a), text(b)));
    body.append(...rows);
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.ariaSort = way === 1 ? "ascending" : "descending";
  });
});
