// The runs, which of them are shown and which are picked. Views read this and are told when it changes.

const DATA = JSON.parse(place("data").textContent);
const COLUMN = new Map(DATA.columns.map((column) => [column.name, column]));
const SIZE = DATA.columns[0].values.length;
const ROWS = Array.from({ length: SIZE }, (_, row) => row);
const MONITOR = COLUMN.get(DATA.monitor.name);
const BEST = DATA.best;

for (const column of DATA.columns) {
  column.distinct = new Set(column.values).size;
  column.known = column.numeric ? column.values.filter((value) => value !== null) : [];
}
const HYPERPARAMETERS = DATA.columns.filter((column) => column.kind === "hyperparameter");
const VARYING = HYPERPARAMETERS.filter((column) => column.distinct > 1);
const CONSTANT = HYPERPARAMETERS.filter((column) => column.distinct === 1);

/** What is filtered by: text; per column a range [low, high], open where null, or a set of values. */
const filters = { text: "", ranges: new Map(), choices: new Map() };
/** The picked runs, in the order in which they were picked. */
const picked = [];
/** The runs that pass every filter. */
let shown = ROWS;

// What a text filter looks through: name=value for each cell, lower case.
const tokens = ROWS.map((row) =>
  DATA.columns
    .filter((column) => column.values[row] !== null)
    .map((column) => `${column.name}=${short(column.values[row])}`.toLowerCase()),
);
const haystacks = tokens.map((list) => list.join("\n"));

/** Whether a run has every word of the text; one with "=" has to be a whole cell. */
function matches(row, terms) {
  return terms.every((term) => (term.includes("=") ? tokens[row].includes(term) : haystacks[row].includes(term)));
}

function passes(row, terms) {
  for (const [name, [low, high]] of filters.ranges) {
    const value = COLUMN.get(name).values[row];
    if (value === null || (low !== null && value < low) || (high !== null && value > high)) return false;
  }
  for (const [name, values] of filters.choices) if (!values.has(COLUMN.get(name).values[row])) return false;
  return matches(row, terms);
}

const views = [];
let waiting = false;

/** Filters anew and lets every view draw, once before the next picture however often it is asked. */
function changed() {
  const terms = filters.text.toLowerCase().split(/\s+/).filter(Boolean);
  shown = ROWS.filter((row) => passes(row, terms));
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    for (const draw of views) draw();
  });
}

function setRange(name, low, high) {
  if (low === null && high === null) filters.ranges.delete(name);
  else filters.ranges.set(name, [low, high]);
  changed();
}

function setChoice(name, values) {
  if (values === null || values.size === COLUMN.get(name).distinct) filters.choices.delete(name);
  else filters.choices.set(name, values);
  changed();
}

function toggle(row) {
  const at = picked.indexOf(row);
  if (at < 0) picked.push(row);
  else picked.splice(at, 1);
  changed();
}

/** A run in words: trial 3, seed 1. */
const nameOf = (row) =>
  DATA.columns
    .filter((column) => column.kind === "run")
    .map((c) => `${c.name} ${c.values[row]}`)
    .join(", ") || `row ${row}`;

// Of Okabe and Ito's palette what the medians and the best run do not have; dashes tell more than four runs apart.
const MARKS = ["#009E73", "#CC79A7", DATA.colors.ink, "#56B4E9"];
const DASHES = [[], [6, 3], [2, 3]];

/** The color and dashes of a picked run. */
function markOf(row) {
  const at = picked.indexOf(row);
  return {
    color: row === BEST ? DATA.colors.vermillion : MARKS[at % MARKS.length],
    dash: DASHES[Math.floor(at / MARKS.length) % DASHES.length],
  };
}

const didDiverge = (row) => COLUMN.get("status")?.values[row] === "diverged";
