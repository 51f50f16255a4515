// What stands behind a number: trials, attempts, digests, commits, MLflow runs, commands.
const NUMBER = 0, STATE = 1, STARTED = 2, SECONDS = 3, RESTARTS = 4, KIND = 5, ERROR = 6, RUN = 7, ORIGIN = 8;
const NOT_GIVEN = new Set(["method", "revision", "kind", "source", "evaluate_on", "depends_on", "seed", "data_digest"]);

/** The command that sweeps the whole study again. */
function sweepCommand(extra = "") {
  const { profile, source, set } = DATA.about.arguments;
  const words = [`dvta-orch sweep ${DATA.about.name}.yaml`];
  if (profile) words.push(`--profile ${profile}`);
  if (source && source !== "auto") words.push(`--source ${source}`);
  for (const [name, value] of Object.entries(set || {})) words.push(`--set ${quoted(`${name}=${value}`)}`);
  return words.join(" ") + extra;
}

const quoted = (word) => (/^[\w=.,/-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

/** A spec of one trial alone, or null where it takes the whole study. */
function trialSpec(trial) {
  const config = DATA.configs[trial.config];
  if (config.kind !== "alignment" || config.depends_on || !["unseen", "gzsl"].includes(config.evaluate_on)) return null;
  // its visual holds what the study's spec says of the encoder, and the configuration the encoder's own options
  if (config.train === "end_to_end") return null;
  const known = (DATA.about.arguments.splits || {})[config.split] || [];
  // a split that was defined anew has trials of each definition, and nothing here says which are whose
  if (known.length > 1) return null;
  const given = Object.fromEntries(Object.entries(config).filter(([name, value]) => !NOT_GIVEN.has(name) && value !== null));
  return [
    `study: trial-${trial.key.slice(0, 10)}`,
    `source: ${config.source}`,
    ...(config.evaluate_on === "gzsl" ? ["protocol: gzsl"] : []),
    ...(known.length ? [`splits: ${JSON.stringify({ [config.split]: known[0] })}`] : []),
    `defaults: ${JSON.stringify(given)}`,
    `grid: {method: [${JSON.stringify(config.method)}]}`,
    `seeds: [${trial.seed}]`,
  ].join("\n") + "\n";
}

function reproduce(trial) {
  const spec = trialSpec(trial);
  if (spec == null) return make("pre", { class: "command" }, sweepCommand());
  const name = `trial-${trial.key.slice(0, 10)}.yaml`;
  return make("pre", { class: "command" }, `cat > ${name} <<'END'\n${spec}END\ndvta-orch sweep ${name} --redo`);
}

function attemptItem(attempt, trial, counts) {
  const origin = DATA.provenance[attempt[ORIGIN]] || {};
  const run = attempt[RUN];
  const link = run && make("a", { href: `${DATA.mlflow}/#/runs/${run}`, rel: "noreferrer" }, run);
  return make("li", {},
    `attempt ${attempt[NUMBER]}: ${attempt[STATE]}${counts ? " (this number)" : ""}`,
    definitions([
      ["started", attempt[STARTED]],
      ["training", duration(attempt[SECONDS])],
      ["went on", attempt[RESTARTS] ? `${attempt[RESTARTS]} times` : null],
      ["commit", origin.git_commit],
      ["device", [origin.device, origin.precision, origin.host && `on ${origin.host}`].filter(Boolean).join(" ")],
      ["torch", origin.torch],
      ["MLflow run", link || "not mirrored"],
      ["error", attempt[KIND] && `${attempt[KIND]}: ${attempt[ERROR]}`],
    ]));
}

function trialItem(index) {
  const trial = DATA.trials[index];
  const attempts = DATA.attempts[index] || [];
  const last = attempts.findLast((a) => a[STATE] === "done");
  const drawn = DATA.curves.of[index];
  return make("section", { class: "trial", "aria-label": `trial ${trial.key.slice(0, 10)}` },
    make("h3", {}, `seed ${trial.seed}: ${shown(trial.final)} final, ${shown(trial.best)} best`),
    definitions([
      ["trial", trial.name],
      ["key", trial.key],
      ["state", trial.state],
      ["epochs", drawn ? String(DATA.curves.epochs[drawn[0]].at(-1)) : null],
      ["data", `${DATA.configs[trial.config].source}, digest ${DATA.digests[trial.digest]}`],
    ]),
    make("ul", {}, ...attempts.map((a) => attemptItem(a, trial, a === last))),
    make("details", {}, make("summary", {}, "Train it again"), reproduce(trial)),
    make("details", {}, make("summary", {}, "Configuration"),
      definitions(Object.entries(DATA.configs[trial.config]).filter(([, v]) => v !== null).map(([k, v]) => [k, String(v)]))));
}

function openDetails(title, ...nodes) {
  byId("details-title").textContent = title;
  byId("details-body").replaceChildren(...nodes);
  const dialog = byId("details");
  dialog.showModal();
  dialog.scrollTop = 0;
}

function showCell(table, row, column) {
  const cell = table.cells[row][column];
  const numbers = ["final", "best"].map((p) => [p, cell[p] && `${shown(cell[p][MEAN], 4)}${cell[p][STD] == null ? "" : ` ± ${shown(cell[p][STD], 4)}`} over ${cell[p][N]} of ${cell[p][EXPECTED]} seeds`]);
  const trials = cell.trials || [];
  const curves = trials.some((i) => DATA.curves.of[i]) && make("button", {
    type: "button", onclick: () => { byId("details").close(); chooseOnly(`${table.id}/${row}/${column}`); },
  }, "Show its learning curves");
  openDetails(`${table.rows[row]}, ${table.columns[column]}`,
    definitions([...numbers, ["the paper prints", cell.paper], ["note", cell.note], ["no number", cell.missing]]),
    make("p", { class: "buttons" }, curves || ""),
    ...trials.map(trialItem));
}

function showTrial(index) {
  openDetails(`Trial ${DATA.trials[index].key.slice(0, 10)}`, trialItem(index));
}
