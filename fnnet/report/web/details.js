// What stands around the views: the best run, what all runs share, trials, plan, cost, and what was asked for.

const scoreColumns = DATA.columns.filter((column) => column.kind === "score");

function tile(name, value, main = false) {
  const text = short(value) || "–";
  return make(
    "div",
    { class: main ? "main" : null },
    make("dt", {}, name),
    make("dd", { title: String(value ?? "no value") }, text),
  );
}

place("circumstances").textContent = DATA.circumstances;
if (BEST !== null) {
  const others = scoreColumns.filter((column) => column !== MONITOR);
  place("best").append(
    tile(words(MONITOR.name), MONITOR.values[BEST], true),
    ...VARYING.map((column) => tile(column.name, column.values[BEST])),
    ...others.map((column) => tile(words(column.name), column.values[BEST])),
    make("div", {}, make("dt", {}, "best run"), make("dd", {}, nameOf(BEST))),
  );
}
if (CONSTANT.length) {
  const list = CONSTANT.map((column) => `${column.name} ${short(column.values[0]) || "none"}`).join(", ");
  place("constants").textContent = `The same in every run: ${list}.`;
}

/** A JSON value as a reader would want it: lists in a line, objects as lists of terms, long texts folded. */
function written(value) {
  if (value === null || value === undefined) return make("span", { class: "quiet" }, "–");
  if (Array.isArray(value)) {
    if (value.every((part) => typeof part !== "object" || part === null) && JSON.stringify(value).length < 80)
      return value.join(", ");
    const lines = value.map((part) =>
      make(
        "li",
        {},
        typeof part === "object" ? make("code", {}, JSON.stringify(part)) : make("code", {}, String(part)),
      ),
    );
    return make(
      "details",
      {},
      make("summary", {}, plural(value.length, "entry").replace(/entrys$/, "entries")),
      make("ol", {}, lines),
    );
  }
  if (typeof value === "object") return terms(value);
  if (typeof value === "number") return make("span", { title: String(value) }, short(value));
  return String(value);
}

/** A list of terms; names of hyperparameters stay as they are. */
const terms = (values, say = words) =>
  make(
    "dl",
    { class: "terms" },
    Object.entries(values).map(([name, value]) =>
      make("div", {}, make("dt", {}, say(name)), make("dd", {}, written(value))),
    ),
  );

const block = (title, ...content) => make("section", { class: "block" }, make("h3", {}, title), ...content);

const numericCells = (values) => values.every((value) => typeof value === "number" || value === null);

/** A list of flat objects as columns. */
function columnsOf(rows) {
  const names = [...new Set(rows.flatMap(Object.keys))];
  return names.map((name) => {
    const values = rows.map((row) => row[name] ?? null),
      numeric = numericCells(values);
    return {
      name,
      numeric,
      values: numeric
        ? values
        : values.map((value) =>
            value === null ? null : typeof value === "object" ? JSON.stringify(value) : String(value),
          ),
    };
  });
}

function copying(text) {
  const button = make("button", { type: "button", class: "copy" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy"; // pages from a file may not write to the clipboard in every browser
    }
  });
  return button;
}

const asked = { ...DATA.asked },
  { space } = asked;
if (Array.isArray(space)) asked.space = `a list of ${plural(space.length, "point")}, those of the table`;
else delete asked.space;
const spoken = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== null));
const details = place("asked");
details.append(
  block(
    "To run it again",
    make(
      "div",
      { class: "code" },
      make("pre", { tabindex: "0" }, make("code", {}, DATA.reproduce)),
      copying(DATA.reproduce),
    ),
  ),
);
if (space && !Array.isArray(space)) details.append(block("Search space", terms(space, String)));
if (Object.keys(DATA.plan).length) details.append(block("Plan", terms(DATA.plan)));
if (DATA.cost.length) {
  const box = make("div"),
    rows = DATA.cost.map((_, index) => index);
  details.append(block("Cost of each program", box));
  grid(box, columnsOf(DATA.cost), () => rows, { caption: "Cost of each program", sort: {}, size: 20 })();
}
details.append(block("The request", terms(spoken)));
if (Object.keys(DATA.versions).length) details.append(block("Versions", terms(DATA.versions)));
const versions = Object.entries(DATA.versions)
  .map(([name, value]) => `${name} ${value}`)
  .join(", ");
place("foot").textContent =
  `Written by fnnet report${versions ? ` from a sweep of ${versions}` : ""}. This page needs no network.`;
