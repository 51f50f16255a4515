// Data of the page, and the few words that every part uses.
const DATA = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

/** Make an element: attributes, then children; text is text, never markup. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

const shown = (value, digits = 2) => (value == null ? "—" : value.toFixed(digits));
const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);

function duration(seconds) {
  if (seconds == null) return "unknown";
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Give a text to the reader as a file. */
function save(name, text) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/plain" })), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function definitions(pairs) {
  const list = make("dl");
  for (const [name, value] of pairs) {
    if (value != null && value !== "") list.append(make("dt", {}, name), make("dd", {}, value));
  }
  return list;
}

/** A table that its headings sort; rows are arrays of {text, value, node}. */
function sortable(columns, rows, { label, limit = Infinity, onSort } = {}) {
  const head = make("tr");
  const body = make("tbody");
  const table = make("table", { "aria-label": label }, make("thead", {}, head), body);
  let shownRows = limit;
  const more = make("button", { type: "button", onclick: () => { shownRows += limit; fill(); } });
  function fill() {
    body.replaceChildren(...rows.slice(0, shownRows).map((row) => row.element));
    more.hidden = rows.length <= shownRows;
    more.textContent = `Show more: ${Math.min(shownRows, rows.length)} of ${rows.length}`;
  }
  columns.forEach((name, i) => {
    const button = make("button", { type: "button", onclick: () => sort(i, cell) }, name || "row");
    const cell = make("th", { scope: "col", class: typeof rows[0]?.values[i] === "string" ? "text" : "" }, button);
    head.append(cell);
  });
  function sort(i, cell) {
    const down = cell.getAttribute("aria-sort") !== "descending";
    for (const other of head.children) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", down ? "descending" : "ascending");
    const sign = down ? -1 : 1;
    rows.sort((a, b) => {
      const [x, y] = [a.values[i], b.values[i]];
      // what is missing stands last, whichever way
      if (x == null || y == null) return (x == null) - (y == null);
      return sign * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true }));
    });
    fill();
    if (onSort) onSort(i);
  }
  fill();
  const scroll = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${label}, scrolls sideways` }, table);
  return { element: make("div", {}, scroll, more), table };
}
