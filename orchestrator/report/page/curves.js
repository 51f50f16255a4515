// Learning curves of chosen rows or trials, with bands over seeds.
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 2], [1, 2]];
const MOST_CHOICES = 60, MOST_LINES = 12;
const METRIC_NAMES = { loss: "training loss", accuracy: "accuracy on the test classes (%)" };
const curves = { chosen: new Map(), plot: null };

/** All that can be drawn: [id, label, indices of trials]. */
function choices() {
  if (byId("lines").value === "trials") {
    return DATA.trials.map((t, i) => [`trial/${i}`, t.name, [i]]).filter(([, , [i]]) => DATA.curves.of[i]);
  }
  const several = DATA.tables.length > 1;
  return DATA.tables.flatMap((table) => table.rows.flatMap((row, r) => table.columns.map((column, c) => [
    `${table.id}/${r}/${c}`,
    [several ? table.id : null, row, table.columns.length > 1 ? column : null].filter(Boolean).join(", "),
    (table.cells[r][c].trials || []).filter((i) => DATA.curves.of[i]),
  ]))).filter(([, , trials]) => trials.length);
}

/** Mean and spread over trials at the epochs that all have. */
function bandOf(trials, metric) {
  const m = 1 + DATA.curves.metrics.indexOf(metric);
  const lines = trials.map((i) => {
    const curve = DATA.curves.of[i];
    return new Map(DATA.curves.epochs[curve[0]].map((epoch, k) => [epoch, curve[m][k]]));
  });
  const points = [...lines[0].keys()].filter((epoch) => lines.every((line) => line.get(epoch) != null));
  return points.map((epoch) => {
    const values = lines.map((line) => line.get(epoch));
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const square = values.reduce((sum, v) => sum + (v - mean) ** 2, 0);
    return [epoch, mean, values.length > 1 ? Math.sqrt(square / (values.length - 1)) : 0];
  });
}

function look(position) {
  return { colour: COLOURS[position % COLOURS.length], dash: DASHES[Math.floor(position / COLOURS.length + position) % DASHES.length] };
}

function fade(colour) {
  return `${colour}30`;
}

function drawChart() {
  const metric = byId("metric").value;
  const picked = [...curves.chosen.entries()];
  curves.plot?.destroy();
  curves.plot = null;
  byId("chosen").textContent = `${picked.length} of at most ${MOST_LINES} lines`;
  const bands = picked.map(([, { label, trials }]) => ({ label, n: trials.length, points: bandOf(trials, metric) }));
  byId("chart").setAttribute("aria-label", `${METRIC_NAMES[metric] || metric} over the epochs of ${bands.map((b) => b.label).join("; ") || "nothing"}`);
  fillChartTable(bands, metric);
  if (!picked.length) return;
  const epochs = [...new Set(bands.flatMap((b) => b.points.map((p) => p[0])))].sort((a, b) => a - b);
  const columns = [epochs], series = [{ label: "epoch" }], shades = [];
  bands.forEach(({ label, points }, position) => {
    const at = new Map(points.map((p) => [p[0], p]));
    const { colour, dash } = look(position);
    const read = (f) => epochs.map((e) => (at.has(e) ? f(at.get(e)) : null));
    columns.push(read((p) => p[1] + p[2]), read((p) => p[1] - p[2]), read((p) => p[1]));
    const edge = { stroke: "transparent", width: 0, points: { show: false }, spanGaps: true };
    series.push({ ...edge, label: `${label} high` }, { ...edge, label: `${label} low` }, { label, stroke: colour, dash, width: 2, spanGaps: true, points: { show: epochs.length < 40 } });
    const top = series.length - 3;
    shades.push({ series: [top, top + 1], fill: fade(colour) });
  });
  const css = getComputedStyle(document.documentElement);
  const front = css.getPropertyValue("--soft").trim(), line = css.getPropertyValue("--line").trim();
  const axis = { stroke: front, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
  const box = byId("chart");
  curves.plot = new uPlot({
    width: box.clientWidth, height: Math.min(380, Math.max(260, box.clientWidth * 0.6)),
    scales: { x: { time: false, range: epochs.length === 1 ? [epochs[0] - 1, epochs[0] + 1] : undefined } },
    axes: [
      { ...axis, label: "epoch", incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], values: (_, ticks) => ticks.map((t) => (Number.isInteger(t) ? t : "")) },
      { ...axis, label: METRIC_NAMES[metric] || metric, size: 60 },
    ],
    series, bands: shades, legend: { show: false }, cursor: { drag: { x: true, y: false } },
  }, columns, box);
}

function fillChartTable(bands, metric) {
  const cells = (b) => {
    const last = b.points.at(-1);
    return [b.label, b.n, last?.[0], last?.[1], last?.[2]];
  };
  const rows = bands.map((b) => {
    const [label, n, epoch, mean, spread] = cells(b);
    return { values: cells(b), element: make("tr", {}, make("th", { scope: "row" }, label), ...[n, epoch, shown(mean, 4), shown(spread, 4)].map((v) => make("td", {}, String(v)))) };
  });
  byId("chart-table").replaceChildren(sortable(["line", "trials", "last epoch", `last ${metric}`, "standard deviation"], rows, { label: "Last values of the curves" }).table);
}

function drawChoices() {
  const words = byId("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const fitting = choices().filter(([id, label]) => curves.chosen.has(id) || words.every((w) => label.toLowerCase().includes(w)));
  fitting.sort((a, b) => curves.chosen.has(b[0]) - curves.chosen.has(a[0]));
  const order = [...curves.chosen.keys()];
  const items = fitting.slice(0, MOST_CHOICES).map(([id, label, trials]) => {
    const box = make("input", { type: "checkbox", value: id, onchange: () => toggle(id, label, trials, box) });
    box.checked = curves.chosen.has(id);
    const { colour, dash } = look(order.indexOf(id));
    const swatch = box.checked && make("span", { class: "swatch", style: `border-top-color:${colour};border-top-style:${dash.length ? (dash[0] < 4 ? "dotted" : "dashed") : "solid"}` });
    return make("li", {}, make("label", {}, box, swatch || "", make("span", {}, `${label} (n=${trials.length})`)));
  });
  if (fitting.length > MOST_CHOICES) items.push(make("li", { class: "hint" }, `${MOST_CHOICES} of ${fitting.length}; find narrows them`));
  byId("choices").replaceChildren(...items);
}

function toggle(id, label, trials, box) {
  if (!box.checked) curves.chosen.delete(id);
  else if (curves.chosen.size < MOST_LINES) curves.chosen.set(id, { label, trials });
  redraw();
  document.querySelector(`#choices input[value="${CSS.escape(id)}"]`)?.focus();
}

function redraw() {
  drawChoices();
  drawChart();
}

/** Draw one choice alone, and go there. */
function chooseOnly(id) {
  byId("lines").value = "cells";
  curves.chosen.clear();
  const found = choices().find(([each]) => each === id);
  if (found) curves.chosen.set(id, { label: found[1], trials: found[2] });
  redraw();
  byId("curves").scrollIntoView();
  byId("metric").focus();
}

function bindCurves() {
  const metrics = byId("metric");
  metrics.append(...DATA.curves.metrics.map((m) => make("option", { value: m }, METRIC_NAMES[m] || m)));
  metrics.addEventListener("change", drawChart);
  byId("lines").addEventListener("change", () => { curves.chosen.clear(); redraw(); });
  byId("find").addEventListener("input", drawChoices);
  byId("clear").addEventListener("click", () => { curves.chosen.clear(); redraw(); });
  byId("curve-form").addEventListener("submit", (event) => event.preventDefault());
  if (!choices().length) { byId("curves").hidden = true; return; }
  for (const [id, label, trials] of choices().slice(0, 5)) curves.chosen.set(id, { label, trials });
  redraw();
  new ResizeObserver(() => {
    const width = byId("chart").clientWidth;
    if (curves.plot && Math.abs(width - curves.plot.width) > 4) drawChart();
  }).observe(byId("chart"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawChart);
}
