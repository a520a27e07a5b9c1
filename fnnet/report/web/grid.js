// A table that sorts by its headings and shows a page of its rows at a time, so that thousands stay quick.

const collator = new Intl.Collator("en", { numeric: true });

/**
 * A sortable table. Columns have name, values, numeric; rows() gives the indices to show.
 * Options: caption, sort ({name, descending}), pick ({has, toggle, name, color} of a row), best (a row), main (a
 * column's name), first (whether a column descends at the first click), picture (draws a cell for a row, after the main
 * column), size (the rows of a page).
 */
function grid(root, columns, rows, options) {
  const sort = { ...options.sort };
  let page = 0,
    before = null;
  const body = make("tbody"),
    headings = new Map();
  const range = make("span", { role: "status" });
  const back = make("button", { type: "button", onclick: () => turn(-1) }, "‹ Previous");
  const on = make("button", { type: "button", onclick: () => turn(1) }, "Next ›");
  const pager = make("div", { class: "pager" }, back, range, on);

  const head = make(
    "tr",
    {},
    options.pick ? make("th", { scope: "col", class: "pick" }, make("span", { class: "hidden" }, "Highlight")) : null,
  );
  for (const column of columns) {
    const button = make("button", { type: "button", onclick: () => order(column) }, column.name);
    const cell = make("th", { scope: "col", class: classOf(column) }, button);
    headings.set(column.name, cell);
    head.append(cell);
    if (options.picture && column.name === options.main)
      head.append(make("th", { scope: "col", class: "plain" }, "interval"));
  }
  const table = make("table", {}, make("caption", { class: "hidden" }, options.caption), make("thead", {}, head), body);
  root.replaceChildren(
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": options.caption }, table),
    pager,
  );

  function classOf(column) {
    return [column.numeric ? "number" : "", column.name === options.main ? "main" : ""].join(" ").trim() || null;
  }

  function order(column) {
    const down = options.first?.(column) ?? false;
    sort.descending = sort.name === column.name ? !sort.descending : down;
    sort.name = column.name;
    page = 0;
    draw();
  }

  function turn(by) {
    page += by;
    draw();
  }

  /** The rows in order; cells without a value come last, whichever way the others go. */
  function sorted() {
    const column = columns.find((candidate) => candidate.name === sort.name);
    if (!column) return rows();
    const sign = sort.descending ? -1 : 1,
      { values } = column;
    const compare = column.numeric ? (a, b) => a - b : collator.compare;
    return [...rows()].sort((a, b) => {
      const one = values[a],
        other = values[b];
      if (one === null || other === null) return (one === null) - (other === null) || a - b;
      return sign * compare(one, other) || a - b;
    });
  }

  function line(row) {
    const chosen = options.pick?.has(row);
    const cells = columns.map((column) => {
      const value = column.values[row],
        text = short(value);
      const full = text !== "" && text !== String(value) ? String(value) : null;
      return make(
        "td",
        { class: classOf(column), title: full ?? (text.length > 24 ? text : null) },
        text === "" ? make("span", { class: "quiet" }, "–") : text,
      );
    });
    if (options.picture)
      cells.splice(columns.findIndex(({ name }) => name === options.main) + 1, 0, make("td", {}, options.picture(row)));
    if (!options.pick) return make("tr", {}, cells);
    const box = make("input", {
      type: "checkbox",
      "aria-label": `Highlight ${options.pick.name(row)}`,
      onchange: () => options.pick.toggle(row),
    });
    box.checked = chosen;
    if (chosen) box.style.accentColor = options.pick.color(row);
    const star =
      row === options.best
        ? make("span", { class: "star", role: "img", title: "best run", "aria-label": "best run" }, "★")
        : null;
    const whole = (event) => event.target === box || getSelection().toString() || options.pick.toggle(row);
    return make(
      "tr",
      { class: chosen ? "picked" : null, "data-row": row, onclick: whole },
      make("td", { class: "pick" }, box, star),
      cells,
    );
  }

  function draw() {
    const all = sorted();
    const key = `${all.length} ${all[0]}`;
    if (before !== null && before !== key && before.split(" ")[0] !== key.split(" ")[0]) page = 0;
    before = key;
    const pages = Math.max(1, Math.ceil(all.length / options.size));
    page = Math.min(Math.max(page, 0), pages - 1);
    for (const [name, cell] of headings) {
      if (name === sort.name) cell.setAttribute("aria-sort", sort.descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
    const focused = body.contains(document.activeElement) ? document.activeElement.closest("tr").dataset.row : null;
    const part = all.slice(page * options.size, (page + 1) * options.size);
    const nothing = make(
      "tr",
      {},
      make("td", { class: "nothing", colspan: columns.length + 1 }, "No run passes the filters."),
    );
    body.replaceChildren(...(part.length ? part.map(line) : [nothing]));
    if (focused) body.querySelector(`tr[data-row="${focused}"] input`)?.focus();
    const [from, to, count] = [page * options.size + 1, page * options.size + part.length, all.length].map(grouped);
    range.textContent = all.length ? `${from}–${to} of ${count}` : "";
    back.disabled = page === 0;
    on.disabled = page === pages - 1;
    pager.hidden = all.length <= options.size;
  }

  return draw;
}
