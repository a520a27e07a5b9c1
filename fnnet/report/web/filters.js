// The bar with the text filter, the count and a chip for every filter; the ranges and values that can be typed.

const MOST_CHOICES = 12;

/** Columns whose values are ticked one by one: texts and the few values of a number; others have a range. */
const isChoice = (column) => !column.numeric && column.distinct <= MOST_CHOICES;

function rangeText([low, high]) {
  if (low !== null && high !== null) return `${short(low)} to ${short(high)}`;
  return low !== null ? `from ${short(low)}` : `to ${short(high)}`;
}

function chip(text, remove) {
  const button = make(
    "button",
    { type: "button", class: "chip", onclick: remove, "aria-label": `Remove the filter ${text}` },
    text,
    " ×",
  );
  return button;
}

const search = place("search");
search.addEventListener("input", () => {
  filters.text = search.value;
  changed();
});

function clearAll() {
  filters.text = search.value = "";
  filters.ranges.clear();
  filters.choices.clear();
  changed();
}

function drawBar() {
  place("count").replaceChildren(make("b", {}, grouped(shown.length)), ` of ${plural(SIZE, "run")} shown`);
  const chips = [];
  for (const [name, range] of filters.ranges)
    chips.push(chip(`${name} ${rangeText(range)}`, () => setRange(name, null, null)));
  for (const [name, values] of filters.choices)
    chips.push(
      chip(`${name} ${[...values].map((v) => v ?? "none").join(", ") || "nothing"}`, () => setChoice(name, null)),
    );
  if (chips.length + (filters.text ? 1 : 0) > 1)
    chips.push(make("button", { type: "button", class: "chip all", onclick: clearAll }, "Clear all"));
  if (picked.length) {
    const letGo = () => {
      picked.length = 0;
      changed();
    };
    const text = `${picked.length} highlighted ×`;
    chips.push(make("button", { type: "button", class: "chip all", onclick: letGo }, text));
  }
  place("chips").replaceChildren(...chips);
}

/** Two fields for a range; they follow the brush and the brush follows them. */
function rangeFields(column) {
  const [low, high] = extent(column.known);
  const field = (side, bound) =>
    make("input", {
      type: "text",
      inputmode: "decimal",
      placeholder: short(bound, 3),
      "aria-label": `${column.name} ${side}`,
      onchange: read,
    });
  const fields = [field("from", low), field("to", high)];
  function read() {
    const bounds = fields.map((input) => {
      const value = input.value.trim() === "" ? null : Number(input.value);
      input.setAttribute("aria-invalid", Number.isNaN(value));
      return Number.isNaN(value) ? null : value;
    });
    setRange(column.name, ...bounds);
  }
  views.push(() => {
    const range = filters.ranges.get(column.name) ?? [null, null];
    fields.forEach((input, side) => {
      if (input !== document.activeElement && input.getAttribute("aria-invalid") !== "true")
        input.value = short(range[side]);
    });
  });
  return make("fieldset", {}, make("legend", {}, column.name), fields[0], make("span", {}, "to"), fields[1]);
}

function choiceFields(column) {
  const values = [...new Set(column.values)].sort(
    (a, b) => (a === null) - (b === null) || String(a).localeCompare(String(b)),
  );
  const boxes = values.map((value) => {
    const box = make("input", { type: "checkbox", onchange: read });
    const count = column.values.filter((other) => other === value).length;
    return {
      box,
      value,
      label: make("label", {}, box, ` ${value ?? "none"} `, make("span", { class: "quiet" }, grouped(count))),
    };
  });
  function read() {
    setChoice(column.name, new Set(boxes.filter(({ box }) => box.checked).map(({ value }) => value)));
  }
  views.push(() => {
    const chosen = filters.choices.get(column.name);
    for (const { box, value } of boxes) box.checked = !chosen || chosen.has(value);
  });
  return make(
    "fieldset",
    { class: "choice" },
    make("legend", {}, column.name),
    boxes.map(({ label }) => label),
  );
}

const status = COLUMN.get("status");
if (status?.distinct > 1) place("status").append(choiceFields(status));
const filterable = DATA.columns.filter(
  (column) => column !== status && column.distinct > 1 && (column.numeric ? column.known.length : isChoice(column)),
);
place("ranges").append(...filterable.map((column) => (isChoice(column) ? choiceFields(column) : rangeFields(column))));
place("filters").hidden = !filterable.length;
views.push(drawBar);
