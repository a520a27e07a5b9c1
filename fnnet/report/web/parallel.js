// Parallel coordinates: an axis for each hyperparameter that varies and for the score, a line a run.

const TOP = 46,
  TALL = 250,
  BELOW = 34,
  LEAST = 92; // pixels: above the axes, their height, the place of empty cells, apart
const MOST_POINTS_OF_NUMBERS = 8;
const SHADES = [
  [203, 219, 233],
  [0, 114, 178],
  [0, 40, 74],
]; // from the worst run to the best

/** Ranks from 0, the worst, to 1, the best; null for runs without a score. */
function ranks() {
  const scored = ROWS.filter((row) => MONITOR.values[row] !== null);
  const sign = DATA.monitor.maximize ? 1 : -1;
  scored.sort((a, b) => sign * (MONITOR.values[a] - MONITOR.values[b]));
  const rank = new Array(SIZE).fill(null);
  scored.forEach((row, index) => (rank[row] = scored.length > 1 ? index / (scored.length - 1) : 1));
  return rank;
}

function shade(share) {
  if (share === null) return "#9a9a9a";
  const part = share * 2,
    [from, to] = part < 1 ? [SHADES[0], SHADES[1]] : [SHADES[1], SHADES[2]];
  const along = part < 1 ? part : part - 1;
  return `rgb(${from.map((value, index) => Math.round(value + (to[index] - value) * along)).join(" ")})`;
}

/** An axis: y(row), its ticks, and what a stretch of it means as a filter. */
function axisOf(column) {
  const values = [...new Set(column.values)].filter((value) => value !== null);
  const few = column.numeric && values.length <= MOST_POINTS_OF_NUMBERS && column.values.length > 2 * values.length;
  const missing = column.values.includes(null),
    none = TOP + TALL + 20;
  const axis = column !== MONITOR && (!column.numeric || few) ? pointAxis(column, values) : numberAxis(column, values);
  const y = column.values.map((value, row) => (value === null ? none : axis.at(value, row)));
  return { column, missing, none, y, ...axis };
}

function pointAxis(column, values) {
  values.sort(column.numeric ? (a, b) => a - b : collator.compare);
  const places = new Map(values.map((value, index) => [value, TOP + TALL * (1 - (index + 0.5) / values.length)]));
  const every = Math.ceil(values.length / 14);
  const ticks = values.filter((_, index) => index % every === 0).map((value) => [places.get(value), short(value, 3)]);
  function select(top, bottom) {
    const inside = values.filter((value) => places.get(value) >= top && places.get(value) <= bottom);
    if (!inside.length) return;
    if (column.numeric) setRange(column.name, ...(inside.length === values.length ? [null, null] : extent(inside)));
    else setChoice(column.name, new Set(inside));
  }
  function stretches() {
    const half = TALL / values.length / 2,
      range = filters.ranges.get(column.name),
      chosen = filters.choices.get(column.name);
    if (!range && !chosen) return [];
    const inside = (value) =>
      chosen ? chosen.has(value) : (range[0] === null || value >= range[0]) && (range[1] === null || value <= range[1]);
    return values.filter(inside).map((value) => [places.get(value) - half, places.get(value) + half]);
  }
  // Runs of the same value stand beside each other, always in the same way, so that their number can be seen.
  const spread = Math.min(0.36 * (TALL / values.length), 22);
  const at = (value, row) => places.get(value) + spread * (((row * 0.618034) % 1) * 2 - 1);
  return { at, ticks, select, stretches };
}

function numberAxis(column, values) {
  let [low, high] = values.length ? extent(values) : [0, 1];
  let log = values.length > 0 && spreadOverDecades(column.known);
  // Of the score the part that matters is in view; what lies beyond stands at the end.
  const view = column === MONITOR ? DATA.view : null;
  const [least, most] = [low, high];
  if (view) [low, high, log] = [Math.max(low, view.low), Math.min(high, view.high), view.log];
  if (!(low < high)) [low, high, log] = [low - 0.5, low + 0.5, false];
  const along = scale(low, high, TOP + TALL, TOP, log, 5);
  const at = (value) => along.at(Math.min(Math.max(value, low), high));
  const ticks = along.ticks.map((value) => [along.at(value), short(value, 3)]);
  const label = (value, sign, y) => [y, `${sign}${short(value, 3)}`, true];
  const clear = (y) => ticks.filter(([other]) => Math.abs(other - y) > 13);
  let marks = ticks;
  if (least < low) marks = [...clear(TOP + TALL), label(low, "≤ ", TOP + TALL)];
  if (most > high) marks = [...marks.filter(([other]) => other - TOP > 13), label(high, "≥ ", TOP)];
  function select(top, bottom) {
    const round = (value) => Number(value.toPrecision(4));
    const lower = bottom >= TOP + TALL - 1 ? null : round(along.back(bottom));
    const upper = top <= TOP + 1 ? null : round(along.back(top));
    setRange(column.name, lower, upper);
  }
  function stretches() {
    const range = filters.ranges.get(column.name);
    return range ? [[range[1] === null ? TOP : at(range[1]), range[0] === null ? TOP + TALL : at(range[0])]] : [];
  }
  return { at, ticks: values.length ? marks : [], select, stretches };
}

function parallel(root) {
  const axes = [...VARYING.filter((column) => !column.numeric || column.known.length), MONITOR].map(axisOf);
  const rank = ranks(),
    order = [...ROWS].sort((a, b) => (rank[a] ?? -1) - (rank[b] ?? -1));
  const colors = ROWS.map((row) => shade(rank[row] === null ? null : Math.round(rank[row] * 40) / 40));
  const height = TOP + TALL + (axes.some((axis) => axis.missing) ? BELOW : 12);
  const canvas = make("canvas", { "aria-hidden": "true" }),
    svg = make("svg:svg", { role: "img" });
  const stage = make("div", { class: "stage" }, canvas, svg);
  root.append(stage);
  let places = [],
    width = 0;

  function layout() {
    const left = 62,
      right = 40;
    width = Math.max(root.clientWidth, left + right + LEAST * (axes.length - 1));
    const apart = axes.length > 1 ? (width - left - right) / (axes.length - 1) : 0;
    places = axes.map((_, index) => (axes.length > 1 ? left + index * apart : width / 2));
    for (const [name, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` }))
      svg.setAttribute(name, value);
    const names = axes.map((axis) => axis.column.name).join(", ");
    svg.setAttribute("aria-label", `Parallel axes: ${names}. The ranges below do the same as dragging here.`);
    svg.replaceChildren(...axes.map((axis, index) => drawn(axis, places[index], Math.min(apart || width, 200))));
  }

  function drawn(axis, x, room) {
    const main = axis.column === MONITOR,
      letters = Math.floor(room / 7.2),
      { name } = axis.column;
    const cut = name.length > letters ? `${name.slice(0, letters - 1)}…` : name;
    const anchor = main && axes.length > 1 ? "end" : "middle";
    const title = make(
      "svg:text",
      { x: anchor === "end" ? x + 34 : x, y: 18, "text-anchor": anchor, class: main ? "name main" : "name" },
      cut,
      make("svg:title", {}, name),
    );
    const ticks = axis.ticks.map(([y, text]) =>
      make(
        "svg:text",
        { x: x - 8, y: y + 4, "text-anchor": "end", class: "tick" },
        text.length > 9 ? `${text.slice(0, 8)}…` : text,
        make("svg:title", {}, text),
      ),
    );
    const dashes = axis.ticks.map(([y]) => make("svg:line", { x1: x - 4, x2: x, y1: y, y2: y }));
    const none = axis.missing
      ? make("svg:text", { x: x - 8, y: axis.none + 4, "text-anchor": "end", class: "tick" }, "none")
      : null;
    axis.brush = make("svg:g", { class: "brush" });
    const hit = make(
      "svg:rect",
      { x: x - 20, y: TOP - 8, width: 40, height: TALL + 16, class: "hit" },
      make("svg:title", {}, `Drag to filter by ${name}`),
    );
    draggable(hit, axis);
    return make(
      "svg:g",
      { class: "axis" },
      make("svg:line", { x1: x, x2: x, y1: TOP, y2: TOP + TALL }),
      dashes,
      axis.brush,
      title,
      ticks,
      none,
      hit,
    );
  }

  function draggable(hit, axis) {
    let from = null,
      moved = false;
    const inside = (event) => Math.min(Math.max(event.clientY - svg.getBoundingClientRect().top, TOP), TOP + TALL);
    hit.addEventListener("pointerdown", (event) => {
      [from, moved] = [inside(event), false];
      hit.setPointerCapture(event.pointerId);
    });
    hit.addEventListener("pointermove", (event) => {
      if (from === null) return;
      const to = inside(event);
      moved ||= Math.abs(to - from) > 3;
      if (moved) axis.select(Math.min(from, to), Math.max(from, to));
    });
    hit.addEventListener("pointerup", () => {
      if (from !== null && !moved) (setRange(axis.column.name, null, null), setChoice(axis.column.name, null));
      from = null;
    });
    hit.addEventListener("pointercancel", () => (from = null));
  }

  function draw() {
    if (!root.clientWidth) return;
    const context = contextOf(canvas, width, height),
      there = new Set(shown);
    context.lineJoin = "round";
    const line = (row) => {
      context.beginPath();
      axes.forEach((axis, index) => context.lineTo(places[index], axis.y[row]));
      if (axes.length === 1) context.lineTo(places[0] + 40, axes[0].y[row]);
      context.stroke();
    };
    context.strokeStyle = "#eeeeee";
    context.lineWidth = 1;
    if (shown.length < SIZE) for (const row of ROWS) if (!there.has(row)) line(row);
    context.globalAlpha = shown.length > 400 ? 0.5 : 0.85;
    context.lineWidth = shown.length > 400 ? 1 : 1.4;
    for (const row of order) {
      if (!there.has(row)) continue;
      context.strokeStyle = colors[row];
      line(row);
    }
    context.globalAlpha = 1;
    for (const row of [...picked, ...(BEST !== null && there.has(BEST) ? [BEST] : [])]) {
      const { color, dash } = row === BEST ? { color: DATA.colors.vermillion, dash: [] } : markOf(row);
      Object.assign(context, { strokeStyle: "#fff", lineWidth: 5 });
      line(row);
      Object.assign(context, { strokeStyle: color, lineWidth: 2.5 });
      context.setLineDash(dash);
      line(row);
      context.setLineDash([]);
    }
    axes.forEach((axis, index) => {
      axis.brush.replaceChildren(
        ...axis
          .stretches()
          .map(([top, bottom]) =>
            make("svg:rect", { x: places[index] - 8, y: top, width: 16, height: Math.max(bottom - top, 2) }),
          ),
      );
    });
  }

  layout();
  views.push(draw);
  whenResized(root, () => {
    layout();
    draw();
  });
}

if (VARYING.length) parallel(place("axes"));
else place("parallel-note").textContent = "No hyperparameter varies, so there are no axes to compare.";
