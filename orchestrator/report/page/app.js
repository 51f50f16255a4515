// Summary, pictures, failures, the list of trials, provenance; then everything is put in its place.
function drawSummary() {
  const { about } = DATA;
  const words = { done: "done", running: "running", interrupted: "interrupted", failed: "failed", pruned: "pruned", "to run": "to run" };
  const cards = Object.entries(words).filter(([state]) => about.counts[state] || ["done", "failed"].includes(state)).map(([state, word]) =>
    make("li", { class: state }, make("strong", {}, String(about.counts[state] || 0)), word));
  const missing = about.missing.reduce((sum, [, n]) => sum + n, 0);
  cards.push(make("li", { class: "missing" }, make("strong", {}, String(missing)), "cells that cannot be filled"));
  const ended = about.trials - about.left;
  const left = about.secondsLeft == null ? "" : `, about ${duration(about.secondsLeft)} of training left on one worker`;
  const status = about.finished
    ? `All ${about.trials} trials have ended.`
    : `Unfinished: ${ended} of ${about.trials} trials have ended${left}. ${sweepCommand()} goes on with it.`;
  byId("summary").append(
    make("p", about.finished ? {} : { class: "warn", id: "unfinished" }, status),
    make("progress", { max: Math.max(1, about.trials), value: ended, "aria-label": "trials that have ended" }),
    make("ul", { class: "cards" }, ...cards),
    ...about.running.map(([name, epoch, epochs, host]) => make("p", { class: "note" }, `running: ${name}, epoch ${epoch} of ${epochs}, on ${host}`)),
    ...about.missing.map(([reason, n]) => make("p", { class: "note" }, `${n} cannot be filled: ${reason}`)));
}

function drawPictures() {
  byId("figures").hidden = !DATA.pictures.length;
  byId("pictures").append(...DATA.pictures.map((picture) => {
    const image = make("img", { src: picture.src, alt: picture.alt });
    const figure = make("figure", {}, make("h3", {}, picture.title), image,
      make("figcaption", {}, make("code", {}, picture.command)));
    image.addEventListener("load", () => {
      image.width = Math.round(image.naturalWidth / 2);
      figure.classList.toggle("wide", image.naturalWidth > 1000);
    });
    return figure;
  }));
}

/** The best candidate of every search with the values it was given. */
function drawSearch() {
  byId("search").hidden = !DATA.search.length;
  const value = (v) => (typeof v === "number" && !Number.isInteger(v) ? String(Number(v.toPrecision(3))) : String(v));
  const rows = DATA.search.map(({ cell, trials, done, best, names }) => {
    const trial = best == null ? null : DATA.trials[best];
    const given = trial ? names.map((n) => `${n} ${value(DATA.configs[trial.config][n])}`).join(", ") : "";
    const open = trial ? make("button", { type: "button", class: "cell", onclick: () => showTrial(best) }, shown(trial.final)) : "—";
    return {
      values: [cell, done, trial?.final, given],
      element: make("tr", {}, make("th", { scope: "row" }, cell), make("td", {}, `${done} of ${trials.length}`), make("td", {}, open), make("td", { class: "text name" }, given)),
    };
  });
  if (rows.length) byId("searched").append(sortable(["cell", "candidates", `best ${DATA.search[0].measured}`, "its values"], rows, { label: "Searches" }).element);
}

function drawFailures() {
  byId("failures").hidden = !DATA.failed;
  if (!DATA.failed) return;
  const listed = DATA.failures.length < DATA.failed ? `${DATA.failures.length} of ${DATA.failed} failed attempts. ` : "";
  byId("failed").append(
    make("p", {}, listed, "Run failed trials again with ", make("code", {}, sweepCommand(" --retry"))),
    ...DATA.failures.map((failure) => make("details", {},
      make("summary", {}, `${DATA.trials[failure.trial].name}, attempt ${failure.attempt}: ${failure.kind}: ${failure.error}`),
      make("p", {}, `on ${failure.host || "an unknown host"}; `, make("code", {}, `dvta-orch show ${DATA.trials[failure.trial].key.slice(0, 10)}`)),
      make("pre", {}, failure.traceback || "no traceback was kept"))));
}

function drawTrials() {
  const search = make("input", { type: "search", id: "trial-find", autocomplete: "off" });
  const place = make("div");
  const rowOf = (trial, i) => {
    const open = make("button", { type: "button", class: "cell", onclick: () => showTrial(i) }, trial.key.slice(0, 10));
    const cells = [trial.name, trial.state, shown(trial.final), shown(trial.best), duration(trial.seconds)];
    return {
      values: [trial.key, trial.name, trial.state, trial.final, trial.best, trial.seconds],
      element: make("tr", {}, make("th", { scope: "row" }, open), ...cells.map((c, k) => make("td", { class: k === 0 ? "text name" : k === 1 ? "text" : "" }, c))),
    };
  };
  const fill = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fitting = DATA.trials.map((t, i) => [t, i]).filter(([t]) => words.every((w) => `${t.name} ${t.state} ${t.key}`.toLowerCase().includes(w)));
    // elements are made for what is seen
    const rows = fitting.map(([t, i]) => {
      const row = { values: [t.key, t.name, t.state, t.final, t.best, t.seconds] };
      Object.defineProperty(row, "element", { get: () => rowOf(t, i).element });
      return row;
    });
    place.replaceChildren(sortable(["key", "trial", "state", "final", "best", "training"], rows, { label: "Trials", limit: 100 }).element);
  };
  search.addEventListener("input", fill);
  byId("trial-list").append(make("p", {}, make("label", {}, "Find trials ", search)), place);
  fill();
}

function drawProvenance() {
  const names = ["git_commit", "host", "device", "precision", "python", "torch", "numpy", "ray", "optuna", "mlflow"];
  byId("origin").append(
    make("p", {}, "The study: ", make("code", {}, sweepCommand())),
    make("p", { class: "buttons" }, make("button", { type: "button", onclick: () => save(`${DATA.about.name}.yaml`, DATA.about.spec) }, `Save ${DATA.about.name}.yaml`)),
    make("details", {}, make("summary", {}, "The spec"), make("pre", {}, DATA.about.spec)),
    definitions([["last swept", DATA.about.updated], ["data digests", DATA.digests.map((d) => (d || "none").slice(0, 16)).join(", ")], ["MLflow", `${DATA.mlflow} (dvta-orch ui serves it where no server runs)`]]),
    ...DATA.provenance.map((origin) => make("details", { open: DATA.provenance.length === 1 },
      make("summary", {}, `commit ${(origin.git_commit || "unknown").slice(0, 18)} on ${[origin.host || "unknown", origin.device, origin.precision].filter(Boolean).join(", ")}`),
      definitions(names.map((name) => [name, origin[name]])))));
}

function drawContents() {
  const links = [...DATA.tables.map((t) => [t.id, t.title]), ["curves", "Learning curves"], ["search", "Search"], ["figures", "Figures"], ["failures", "Failures"], ["trials", "Trials"], ["provenance", "Provenance"]];
  byId("contents").append(...links.filter(([id]) => !byId(id).hidden).map(([id, title]) => make("li", {}, make("a", { href: `#${id}` }, title))));
}

drawSummary();
bindControls();
drawTables();
bindCurves();
drawPictures();
drawSearch();
drawFailures();
drawTrials();
drawProvenance();
drawContents();
document.documentElement.dataset.ready = "yes";
