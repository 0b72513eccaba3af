// How the page draws: elements, tables, strips of numbers. Texts come in as textContent, never as HTML.
const $ = (id) => document.getElementById(id);
const svg = $("drawing").namespaceURI;

/** A number with a true minus sign, and none before a 0. */
function decimals(number, digits = 3) {
  const text = number.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "\u2212");
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;
const count = (number) => number.toLocaleString("en");

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (name === "style") element.style.cssText = value;
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** A token's piece, kept apart from the direction of the text around it. */
function piece(token) {
  return make("bdi", { text: data.tokens[token].piece });
}

/** Words and numbers in a row: strings are text, everything else is an element. */
function fill(id, ...parts) {
  $(id).replaceChildren(...parts);
}

const strong = (text) => make("strong", { text });

/** Show rows of texts and elements in a table; a column without a name is for bars. */
function fillTable(id, caption, header, rows, current = -1) {
  const head = make("thead", {}, make("tr", {}, ...header.map((name, index) =>
    name === "" ? make("td") : make("th", { scope: "col", class: index ? "number" : null, text: name }))));
  const body = make("tbody", {}, ...rows.map((cells, row) =>
    make("tr", { "aria-current": row === current ? "true" : null }, ...cells.map((cell, index) => {
      if (cell instanceof HTMLTableCellElement) return cell;
      const tag = index ? "td" : "th";
      const own = { scope: index ? null : "row", class: index ? "number" : null };
      return cell instanceof Node ? make(tag, own, cell) : make(tag, { ...own, text: cell });
    }))));
  $(id).replaceChildren(make("caption", { text: caption }), head, body);
}

/** A cell with a bar from 0 to 1; the number stands in a cell of its own. */
function barCell(share) {
  const length = Math.min(100, Math.abs(100 * share));
  return make("td", { class: "bar", "aria-hidden": "true" },
    make("div", { class: share < 0 ? "negative" : null, style: `width: ${length}%` }));
}

/** Numbers as a row of coloured cells, blue above 0 and orange below; `largest` has the full colour. */
function strip(title, vector, largest) {
  const drawing = document.createElementNS(svg, "svg");
  drawing.setAttribute("viewBox", `0 0 ${vector.length} 1`);
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("role", "img");
  const least = Math.min(...vector), most = Math.max(...vector);
  drawing.setAttribute("aria-label", `${vector.length} numbers from ${decimals(least)} to ${decimals(most)}`);
  vector.forEach((value, index) => {
    const cell = document.createElementNS(svg, "rect");
    cell.setAttribute("x", index);
    // A little wider than its place, so that no hairline shows between two cells.
    cell.setAttribute("width", 1.02);
    cell.setAttribute("height", 1);
    cell.style.fill = value < 0 ? "var(--bad-fill)" : "var(--good-fill)";
    cell.style.fillOpacity = Math.min(1, Math.abs(value) / largest).toFixed(3);
    drawing.append(cell);
  });
  const shown = Array.from(vector.slice(0, 6), (value) => decimals(value, 2)).join("  ");
  const more = vector.length > 6 ? ` … ${count(vector.length)} numbers` : "";
  return make("div", { class: "strip" }, make("p", {}, ...title), drawing,
    make("p", { class: "first", text: shown + more }));
}

function legend(id, largest) {
  fill(id, make("span", { class: "swatch above" }), "above 0  ", make("span", { class: "swatch below" }),
    `below 0. The stronger the colour, the further from 0; full colour is ${decimals(largest, 2)}.`);
}

/** The largest size among all numbers of some vectors. */
const largestOf = (...vectors) => Math.max(1e-9, ...vectors.map((v) => Math.max(...v.map(Math.abs))));

/** A background as strong as a weight; the text stays readable on it. */
function shade(element, weight) {
  const share = (65 * Math.min(1, weight)).toFixed(1);
  element.style.background = `color-mix(in srgb, var(--good-fill) ${share}%, transparent)`;
}

/** Long tables are made when somebody wants to see them. */
const openers = new Map();
function whenOpen(id, show) {
  if (!openers.has(id)) $(id).addEventListener("toggle", () => $(id).open && openers.get(id)());
  openers.set(id, show);
  if ($(id).open) show();
}

/** A small picture of a head's weights. */
function thumbnail(weights) {
  const canvas = make("canvas", { width: numTokens, height: numTokens, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--good-fill").trim();
  weights.forEach((row, y) => row.forEach((weight, x) => {
    // The root lets small weights be seen beside large ones.
    context.globalAlpha = Math.sqrt(weight);
    context.fillRect(x, y, 1, 1);
  }));
  return canvas;
}
