// The tables of results: protocol, difference to the paper, best and second, files.
const state = { protocol: DATA.protocol, differences: false };
const protocols = () => (state.protocol === "both" ? ["final", "best"] : [state.protocol]);
const MEAN = 0, STD = 1, N = 2, EXPECTED = 3, DIFFERENCE = 4;

/** The two largest complete means of every column: {best, second}. */
function leaders(table, protocol) {
  return table.columns.map((_, c) => {
    if (!table.ranked[c] || table.rows.length < 2) return {};
    // a mean over fewer seeds than there will be is no winner yet
    const whole = table.cells.map((row) => row[c][protocol]).filter((n) => n && n[N] === n[EXPECTED]);
    const means = whole.map((n) => n[MEAN]);
    const [best, second] = [...new Set(means)].sort((a, b) => b - a);
    return { best, second };
  });
}

function numberNodes(cell, protocol) {
  const number = cell[protocol];
  if (!number) return ["—"];
  const nodes = [shown(number[MEAN])];
  const spread = number[STD] == null ? "" : ` ± ${shown(number[STD])}`;
  const count = number[N] === number[EXPECTED] ? `n=${number[N]}` : `n=${number[N]} of ${number[EXPECTED]}`;
  nodes.push(make("span", { class: "spread" }, `${spread} (${count})`));
  if (state.differences && cell.paper != null) {
    const gap = number[DIFFERENCE] == null ? "" : `, ${signed(number[DIFFERENCE])}`;
    nodes.push(make("span", { class: "paper" }, ` [paper ${cell.paper}${gap}]`));
  }
  return nodes;
}

function tableCell(table, row, column, tops) {
  const cell = table.cells[row][column];
  const content = make("td");
  protocols().forEach((protocol, i) => {
    const number = cell[protocol];
    const mean = number && number[N] === number[EXPECTED] ? number[MEAN] : null;
    const top = tops[protocol][column];
    const rank = mean != null && mean === top.best ? "best" : mean != null && mean === top.second ? "second" : "";
    const open = () => showCell(table, row, column);
    const button = make("button", { type: "button", class: `cell ${rank}`, onclick: open, "data-protocol": protocol }, ...numberNodes(cell, protocol));
    if (rank) button.append(make("span", { class: "visually-hidden" }, rank === "best" ? " best" : " second"));
    if (!cell[protocol] && cell.missing) button.title = cell.missing;
    if (i) content.append(" / ");
    content.append(button);
  });
  return content;
}

function resultTable(table) {
  const tops = Object.fromEntries(protocols().map((p) => [p, leaders(table, p)]));
  const first = protocols()[0];
  const rows = table.rows.map((name, r) => ({
    values: [name, ...table.columns.map((_, c) => table.cells[r][c][first]?.[MEAN])],
    element: make("tr", {}, make("th", { scope: "row" }, name), ...table.columns.map((_, c) => tableCell(table, r, c, tops))),
  }));
  const label = `${table.title}, protocol ${state.protocol}`;
  return sortable(["", ...table.columns], rows, { label, limit: 500 });
}

function fileButtons(table) {
  const kinds = { csv: ["CSV", ".csv"], md: ["Markdown", ".md"], latex: ["LaTeX", ".tex"] };
  const buttons = Object.entries(kinds).map(([kind, [name, ending]]) => make("button", {
    type: "button",
    "aria-label": `${name} of ${table.title}`,
    onclick: () => save(`${DATA.about.name}-${table.id}${ending}`, table.files[state.protocol][kind]),
  }, name));
  return make("p", { class: "buttons" }, ...buttons);
}

function drawTables() {
  byId("tables").replaceChildren(...DATA.tables.map((table) => {
    const lines = [...new Set(protocols().flatMap((p) => table.captions[p]))];
    const captions = make("ul", { class: "captions" }, ...lines.map((line) =>
      make("li", line.startsWith("SIMULATED") ? { class: "warn" } : {}, line)));
    return make("section", { id: table.id, "aria-label": table.title },
      make("h3", {}, table.title), resultTable(table).element, fileButtons(table), captions);
  }));
}

function bindControls() {
  for (const radio of document.querySelectorAll("[name=protocol]")) {
    radio.checked = radio.value === state.protocol;
    radio.addEventListener("change", () => { state.protocol = radio.value; drawTables(); });
  }
  const box = byId("differences");
  const any = DATA.tables.some((t) => t.cells.some((row) => row.some((cell) => cell.paper != null)));
  box.hidden = !any;
  box.querySelector("input").addEventListener("change", (event) => {
    state.differences = event.target.checked;
    drawTables();
  });
}
