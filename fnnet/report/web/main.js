// The tables of runs and of trials, and the first drawing.

const isScore = (name) => name === MONITOR.name || ["mean", "iqm"].includes(name);
/** At the first click scores go from the best on, and everything else from the smallest. */
const first = (column) => isScore(column.name) && DATA.monitor.maximize;
const kinds = { run: 0, hyperparameter: 2, score: 3, fact: 4 };
const rankOf = (column) => (column === MONITOR ? 1 : kinds[column.kind]);
const visible = DATA.columns
  .filter((column) => column.kind !== "hyperparameter" || column.distinct > 1)
  .sort((a, b) => rankOf(a) - rankOf(b));

views.push(
  grid(place("table"), visible, () => shown, {
    caption: "All runs",
    pick: { has: (row) => picked.includes(row), toggle, name: nameOf, color: (row) => markOf(row).color },
    size: 20,
    best: BEST,
    main: MONITOR.name,
    first,
    sort: { name: MONITOR.name, descending: DATA.monitor.maximize },
  }),
);

/** Draws the interval of a trial, on one scale for all. */
function whiskers(columns) {
  const [mean, low, high] = ["mean", "low", "high"].map(
    (name) => columns.find((column) => column.name === name)?.values,
  );
  if (!mean || !low || !high) return null;
  const known = (values) => values.filter((value) => value !== null),
    all = known([...mean, ...low, ...high]);
  if (!all.length) return null;
  // The better half fills the picture, where the differences are that matter; what lies beyond stands at the edge.
  let [from, to] = extent(all);
  const [middle] = quantiles(known(mean), [0.5]);
  if (DATA.monitor.maximize) from = Math.max(from, middle);
  else to = Math.min(to, middle);
  if (!(from < to)) return null;
  const along = scale(from, to, 5, 115, false);
  const at = (value) => along.at(Math.min(Math.max(value, from), to));
  return (row) => {
    if (mean[row] === null) return null;
    const line =
      low[row] === null
        ? null
        : make("svg:line", { x1: at(low[row]), x2: Math.max(at(high[row]), at(low[row]) + 1), y1: 8, y2: 8 });
    return make(
      "svg:svg",
      { class: "whisker", width: 120, height: 16, "aria-hidden": "true" },
      line,
      make("svg:circle", { cx: at(mean[row]), cy: 8, r: 3.5 }),
    );
  };
}

if (DATA.summary) {
  const constant = new Set(CONSTANT.map((column) => column.name));
  const columns = DATA.summary.filter((column) => !constant.has(column.name));
  // What was found comes before what it was found with.
  const order = ["trial", "mean", "std", "low", "high", "iqm", "runs", "diverged"];
  const at = ({ name }) => (order.includes(name) ? order.indexOf(name) : order.length);
  columns.sort((a, b) => at(a) - at(b));
  const trials = columns.find((column) => column.name === "trial").values,
    runs = COLUMN.get("trial").values;
  const there = () => {
    const among = new Set(shown.map((row) => runs[row]));
    return trials.map((_, index) => index).filter((index) => among.has(trials[index]));
  };
  // A trial is picked when all of its runs are, and picking one picks these.
  const members = new Map();
  for (const row of ROWS) members.set(runs[row], [...(members.get(runs[row]) ?? []), row]);
  const of = (index) => members.get(trials[index]) ?? [];
  const has = (index) => of(index).length > 0 && of(index).every((row) => picked.includes(row));
  const pick = {
    has,
    toggle: (index) =>
      of(index)
        .filter((row) => has(index) || !picked.includes(row))
        .forEach(toggle),
    name: (index) => `trial ${trials[index]}`,
    color: () => DATA.colors.blue,
  };
  views.push(
    grid(place("summary"), columns, there, {
      caption: "Summary by trial",
      size: 10,
      pick,
      main: "mean",
      first,
      picture: whiskers(columns),
      sort: { name: "mean", descending: DATA.monitor.maximize },
    }),
  );
  const over = ["seed", "fold"]
    .filter((name) => COLUMN.get(name)?.distinct > 1)
    .map((name) => `${name}s`)
    .join(" and ");
  place("trials-note").textContent =
    `The ${words(MONITOR.name)} of a trial over all of its ${over || "runs"}: mean, standard deviation, ` +
    "the mean of the middle half (iqm), and the 95 % interval of the mean from low to high. " +
    "The best single run of many is lucky too; the mean of a trial is less so.";
} else {
  place("trials").hidden = true;
}

changed();
document.documentElement.dataset.ready = "true";
