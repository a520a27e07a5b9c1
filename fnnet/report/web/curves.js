// Learning curves: a panel a quantity, with the median and bands of the runs that are shown, the best and the picked.

const FEWEST_FOR_BANDS = 5; // quartiles of four runs are the runs themselves
const MOST_NAMED = 12; // colors and dashes repeat after so many
const EPOCHS = DATA.history?.epochs ?? [];
const SCORES = DATA.history?.scores ?? {};
const sideOf = (name) => (name.startsWith("train/") ? "train" : "validation");
const colorOf = (name) => (sideOf(name) === "train" ? DATA.colors.orange : DATA.colors.blue);
const quantityOf = (name) => name.slice(name.indexOf("/") + 1);

/** Names of curves by quantity, what is trained on before what is validated: loss: [train/loss, validation/loss]. */
const QUANTITIES = new Map();
for (const name of Object.keys(SCORES).sort((a, b) => sideOf(a).localeCompare(sideOf(b)))) {
  const quantity = quantityOf(name);
  QUANTITIES.set(quantity, [...(QUANTITIES.get(quantity) ?? []), name]);
}
const TIME = DATA.history?.counts ?? "epoch";

/** Median and quantiles of the curves of some runs: a list an epoch, or null where fewer than two runs are going. */
function bandsOf(name, rows) {
  return EPOCHS.map((_, at) => {
    const values = [];
    for (const row of rows) {
      const value = SCORES[name][row][at];
      if (value !== null && value !== undefined) values.push(value);
    }
    return values.length ? quantiles(values, [0.1, 0.25, 0.5, 0.75, 0.9]) : null;
  });
}

/** What a panel draws: for each name its bands or its few runs, then the highlighted runs. */
function contentOf(names) {
  const rows = shown.filter((row) => !didDiverge(row));
  const banded = rows.length >= FEWEST_FOR_BANDS;
  const series = names.map((name) => ({
    name,
    bands: banded ? bandsOf(name, rows) : null,
    lines: banded ? [] : rows.map((row) => SCORES[name][row]),
  }));
  const main = names.at(-1);
  const marked = picked.map((row) => ({ values: SCORES[main][row], ...markOf(row) }));
  if (BEST !== null && shown.includes(BEST))
    marked.push({ values: SCORES[main][BEST], color: DATA.colors.vermillion, dash: [], best: true });
  return { series, marked, main, count: rows.length };
}

/** The values that have to be in view; on a plain axis not the steep part before the first fifth, nor stragglers. */
function limitsOf({ series, marked }, log) {
  const values = [],
    start = log ? 0 : Math.floor(EPOCHS.length / 5);
  const take = (list) =>
    list.forEach((value, at) => at >= start && value !== null && value !== undefined && values.push(value));
  for (const { bands, lines } of series) {
    if (bands) for (const side of log ? [0, 4] : [1, 3]) take(bands.map((band) => band && band[side]));
    lines.forEach(take);
  }
  marked.forEach(({ values: curve }) => take(curve));
  const [low, high] = extent(log ? values.filter((value) => value > 0) : values);
  if (!(low <= high)) return null;
  if (log) {
    const room = Math.max((high / low) ** 0.05, 1.02);
    return [low / room, high * room];
  }
  const room = 0.05 * (high - low) || 0.04 * Math.abs(high) || 0.1;
  return [low - room, high + room];
}

function panel(quantity) {
  let names = QUANTITIES.get(quantity),
    log = null,
    at = null,
    scales = null,
    content = null;
  const canvas = make("canvas", { role: "img" });
  const readout = make("p", { class: "readout quiet" });
  const box = make("input", { type: "checkbox", onchange: () => ((log = box.checked), draw()) });
  const choose = () => {
    names = QUANTITIES.get(select.value);
    log = null;
    draw();
  };
  const select = make(
    "select",
    { "aria-label": "Quantity of this panel", onchange: choose },
    [...QUANTITIES.keys()].map((name) => make("option", { value: name }, words(name))),
  );
  select.value = quantity;
  const root = make(
    "figure",
    { class: "panel" },
    make("figcaption", {}, select, make("label", {}, box, " log scale")),
    canvas,
    readout,
  );

  canvas.addEventListener("pointermove", (event) => {
    if (!scales) return;
    const time = scales.x.back(event.offsetX);
    at = EPOCHS.reduce(
      (best, epoch, index) => (Math.abs(epoch - time) < Math.abs(EPOCHS[best] - time) ? index : best),
      0,
    );
    paint();
  });
  canvas.addEventListener("pointerleave", () => ((at = null), paint()));

  /** Losses that are positive and span more than a factor of three have a logarithmic axis unless told. */
  function wantsLog() {
    if (log !== null) return log;
    const limits = limitsOf(content, true);
    return (
      select.value.endsWith("loss") &&
      limits !== null &&
      limits[1] > 3 * limits[0] &&
      limitsOf(content, false)[0] > -0.2 * limits[1]
    );
  }

  function draw() {
    content = contentOf(names);
    box.checked = wantsLog();
    paint();
    const last = content.series.at(-1).bands?.findLast((band) => band);
    const said = last ? `; the median of ${plural(content.count, "run")} ends at ${short(last[2])}` : "";
    canvas.setAttribute("aria-label", `Learning curves: ${words(names.at(-1))} by ${TIME}${said}`);
  }

  function paint() {
    const width = root.clientWidth,
      isLog = box.checked,
      limits = limitsOf(content, isLog);
    if (!width) return;
    const height = limits ? Math.max(210, Math.min(300, width * 0.55)) : 40;
    const context = contextOf(canvas, width, height);
    context.font = "12px system-ui, sans-serif";
    if (!limits) {
      context.fillStyle = DATA.colors.grey;
      const only = shown.length ? "Of diverged runs, ticked ones are drawn." : "No run is shown.";
      context.fillText(isLog ? "No positive value to show on a log scale." : only, 12, 24);
      scales = null;
      readout.textContent = "\u00a0";
      return;
    }
    const single = EPOCHS.length === 1 ? 0.5 : 0;
    const x = scale(EPOCHS[0] - single, EPOCHS.at(-1) + single, 52, width - 12, false, 6);
    const y = scale(...limits, height - 38, 8, isLog, 5);
    scales = { x, y };
    frame(context, scales, width, height);
    context.save();
    context.beginPath();
    context.rect(50, 4, width - 58, height - 41);
    context.clip();
    const { bands: wide } = content.series.at(-1);
    if (wide)
      for (const sides of [
        [0, 4],
        [1, 3],
      ])
        band(context, wide, sides, colorOf(content.main));
    for (const { name, bands, lines } of content.series) {
      const curves = bands ? [bands.map((values) => values && values[2])] : lines;
      for (const values of curves) line(context, values, colorOf(name), bands ? 2 : 1.3, []);
    }
    for (const { values, color, dash, best } of content.marked) {
      line(context, values, "#fff", best ? 4 : 4.5, []);
      line(context, values, color, best ? 2 : 2.2, dash);
    }
    context.restore();
    starAtBest(context);
    tell(context, height);
  }

  function frame(context, { x, y }, width, height) {
    context.lineWidth = 1;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const tick of y.ticks) {
      context.fillStyle = "#ebebeb";
      context.fillRect(52, Math.round(y.at(tick)), width - 64, 1);
      context.fillStyle = "#595959";
      context.fillText(short(tick, 3), 46, y.at(tick));
    }
    context.textAlign = "center";
    for (const tick of x.ticks.filter((value) => Number.isInteger(value)))
      context.fillText(short(tick), x.at(tick), height - 24);
    context.fillText(TIME, (52 + width - 12) / 2, height - 8);
  }

  function line(context, values, color, width, dash) {
    const { x, y } = scales;
    Object.assign(context, { strokeStyle: color, fillStyle: color, lineWidth: width, lineJoin: "round" });
    context.setLineDash(dash);
    context.beginPath();
    let going = false,
      points = 0;
    EPOCHS.forEach((epoch, index) => {
      const value = values[index];
      if (value === null || value === undefined || (y.log && value <= 0)) return (going = false);
      context[going ? "lineTo" : "moveTo"](x.at(epoch), y.at(value));
      [going, points] = [true, points + 1];
    });
    context.stroke();
    context.setLineDash([]);
    if (points !== 1) return;
    const index = values.findIndex((value) => value !== null && value !== undefined);
    context.beginPath();
    context.arc(x.at(EPOCHS[index]), y.at(values[index]), width + 1.5, 0, 7);
    context.fill();
  }

  function band(context, bands, [low, high], color) {
    const { x, y } = scales,
      floor = (value) => y.at(y.log ? Math.max(value, y.low / 10) : value);
    const there = EPOCHS.map((epoch, index) => [epoch, bands[index]]).filter(([, values]) => values);
    context.globalAlpha = 0.16;
    context.fillStyle = color;
    context.beginPath();
    for (const [epoch, values] of there) context.lineTo(x.at(epoch), floor(values[high]));
    for (const [epoch, values] of there.reverse()) context.lineTo(x.at(epoch), floor(values[low]));
    context.fill();
    context.globalAlpha = 1;
  }

  /** Marks where the best run has the score that it counts with, in the panel of the score that chooses. */
  function starAtBest(context) {
    const best = content.marked.find((mark) => mark.best);
    if (!best || content.main !== MONITOR.name) return;
    const apart = best.values.map((value) => (value === null ? Infinity : Math.abs(value - MONITOR.values[BEST])));
    const index = apart.indexOf(Math.min(...apart));
    if (index < 0) return;
    Object.assign(context, {
      font: "18px system-ui, sans-serif",
      textAlign: "center",
      fillStyle: best.color,
      strokeStyle: "#fff",
      lineWidth: 3,
    });
    const spot = ["★", scales.x.at(EPOCHS[index]), scales.y.at(best.values[index])];
    context.strokeText(...spot);
    context.fillText(...spot);
  }

  /** What the curves say at the epoch under the pointer. */
  function tell(context, height) {
    if (at === null) return (readout.textContent = "\u00a0");
    context.fillStyle = DATA.colors.grey;
    context.fillRect(Math.round(scales.x.at(EPOCHS[at])), 8, 1, height - 46);
    const parts = content.series.map(({ name, bands }) => {
      const values = bands?.[at];
      return values
        ? `${sideOf(name)} median ${short(values[2])} (half ${short(values[1])} to ${short(values[3])})`
        : null;
    });
    const best = content.marked.find((mark) => mark.best)?.values[at];
    parts.push(best === null || best === undefined ? null : `best run ${short(best)}`);
    readout.textContent = [`${TIME} ${short(EPOCHS[at])}`, ...parts.filter(Boolean)].join(" · ");
  }

  views.push(draw);
  whenResized(root, draw);
  return root;
}

function drawLegend() {
  const rows = shown.filter((row) => !didDiverge(row)).length,
    banded = rows >= FEWEST_FOR_BANDS;
  const swatch = (color, text, kind = "line", dash = []) =>
    make(
      "span",
      {},
      make("i", { class: kind, style: `--color: ${color}; --dash: ${dash.length ? "dashed" : "solid"}` }),
      text,
    );
  const sides = [...new Set(Object.keys(SCORES).map(sideOf))].sort();
  const entries = sides.map((side) => swatch(colorOf(`${side}/`), banded ? `${side} median` : side));
  if (banded)
    entries.push(swatch(DATA.colors.blue, "half of the runs", "inner"), swatch(DATA.colors.blue, "80 %", "outer"));
  if (BEST !== null && shown.includes(BEST)) entries.push(swatch(DATA.colors.vermillion, "best run ★"));
  for (const row of picked.slice(0, MOST_NAMED))
    entries.push(swatch(markOf(row).color, nameOf(row), "line", markOf(row).dash));
  if (picked.length > MOST_NAMED)
    entries.push(make("span", { class: "quiet" }, `and ${picked.length - MOST_NAMED} more`));
  const diverged = shown.length - rows;
  if (diverged) entries.push(make("span", { class: "quiet" }, `${plural(diverged, "diverged run")} left out`));
  place("curves-legend").replaceChildren(...entries);
}

/** The losses beside the score that chooses, or another one. */
function firstPanels() {
  const chosen = quantityOf(MONITOR.name),
    all = [...QUANTITIES.keys()];
  const other =
    ["loss", chosen].find((name) => name !== chosen && QUANTITIES.has(name)) ?? all.find((name) => name !== chosen);
  const both = chosen.endsWith("loss") ? [chosen, other] : [other, chosen];
  return both.filter((name) => QUANTITIES.has(name));
}

if (EPOCHS.length) {
  place("panels").append(...firstPanels().map(panel));
  views.push(drawLegend);
} else {
  place("panels").append(make("p", { class: "quiet" }, "There are no histories, so there are no curves."));
}
