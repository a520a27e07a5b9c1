// Scales and their ticks, shared by curves and parallel axes, and canvases as sharp as the screen.

/** A scale from values to pixels, linear or logarithmic: at(value), back(pixel), ticks. */
function scale(low, high, start, end, log, wanted = 5) {
  const by = log ? Math.log10 : (value) => value;
  const from = by(low),
    to = by(high);
  return {
    low,
    high,
    log,
    at: (value) => start + ((by(value) - from) / (to - from)) * (end - start),
    back: (pixel) => {
      const value = from + ((pixel - start) / (end - start)) * (to - from);
      return log ? 10 ** value : value;
    },
    ticks: log ? logTicks(low, high, wanted) : linearTicks(low, high, wanted),
  };
}

function linearTicks(low, high, wanted) {
  const raw = (high - low) / wanted,
    power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((candidate) => candidate >= raw * 0.999);
  const ticks = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + 1e-9 * step; index++)
    ticks.push(Number((index * step).toPrecision(12)));
  return ticks;
}

function logTicks(low, high, wanted) {
  let ticks = [];
  for (const mantissas of [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 5, 7]]) {
    ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
      for (const mantissa of mantissas) {
        const tick = Number(`${mantissa}e${power}`);
        if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks.push(tick);
      }
    if (ticks.length >= 3) break;
  }
  if (ticks.length < 2) return linearTicks(low, high, wanted);
  const every = Math.ceil(ticks.length / (wanted + 2));
  return ticks.filter((_, index) => index % every === 0);
}

/** Whether positive numbers are spread more evenly on a logarithmic axis than on a plain one. */
function spreadOverDecades(numbers) {
  const [low, high] = extent(numbers);
  if (!(low > 0) || high < 10 * low) return false;
  const [middle] = quantiles(numbers, [0.5]);
  const plain = (middle - low) / (high - low);
  const logarithmic = Math.log(middle / low) / Math.log(high / low);
  return Math.abs(logarithmic - 0.5) < Math.abs(plain - 0.5);
}

/** Sizes a canvas to its CSS pixels and gives its cleared context, in which a unit is a CSS pixel. */
function contextOf(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return context;
}

/** Calls a function when the width of an element has changed. */
function whenResized(element, draw) {
  let width = 0;
  new ResizeObserver(() => {
    if (element.clientWidth === width) return;
    width = element.clientWidth;
    requestAnimationFrame(draw);
  }).observe(element);
}
