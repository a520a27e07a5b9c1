// How numbers and names are written, and how elements are made. Text goes in as text, never as HTML.

/** A number in few digits, as the figures and the command write it: 0.0031 is 3.1e-3. */
function short(value, digits = 4) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return String(value);
  if (size >= 0.01 && size < 1e5) return size < 100 ? String(Number(value.toPrecision(digits))) : value.toFixed(0);
  const [mantissa, power] = value.toExponential(digits - 1).split("e");
  return `${Number(mantissa)}e${Number(power)}`;
}

/** A column's name as a reader says it. */
const words = (name) => name.replaceAll("/", " ").replaceAll("_", " ");

/** A count with separators: 2,000. */
const grouped = (count) => count.toLocaleString("en");

/** A count with separators and its noun: 1 run, 2,000 runs. */
const plural = (count, noun) => `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;

/** An element with attributes, listeners (onclick: …) and children; strings become text. */
function make(tag, attributes = {}, ...children) {
  const element = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const place = (id) => document.getElementById(id);

/** The quantiles of numbers at given shares, between neighbours in proportion. */
function quantiles(numbers, shares) {
  const sorted = Float64Array.from(numbers).sort();
  return shares.map((share) => {
    const at = share * (sorted.length - 1),
      low = Math.floor(at),
      high = Math.ceil(at);
    return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
  });
}

/** The smallest and the largest number, without spreading a long list over the stack. */
function extent(numbers) {
  let low = Infinity,
    high = -Infinity;
  for (const value of numbers) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}
