// What the page shows. Texts come in as textContent alone, never as HTML.
const $ = (id) => document.getElementById(id);
const svg = $("drawing").namespaceURI;
const chosen = { layer: 0, head: 0, token: 0, other: 0 };
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
const code = (text) => make("code", { text });

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

/** Numbers as a row of coloured cells, blue above 0 and orange below. */
function strip(title, vector, largest, unit = "") {
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
    make("p", { class: "first", text: `${shown}${more}${unit}` }));
}

function legend(id, largest) {
  fill(id, make("span", { class: "swatch above" }), "above 0  ", make("span", { class: "swatch below" }),
    `below 0. The stronger the colour, the further from 0; full colour is ${decimals(largest, 2)}.`);
}

const largestOf = (...vectors) => Math.max(1e-9, ...vectors.map((v) => Math.max(...v.map(Math.abs))));

function showTokens() {
  const special = data.tokens.filter((token) => token.special).length;
  const marks = [];
  if (data.tokens.some((token) => token.piece.startsWith("##"))) marks.push("## begins a piece that continues a word.");
  if (data.tokens.some((token) => token.piece.includes("\u2581"))) marks.push("\u2581 marks where a word begins.");
  fill("tokens-text", "The model knows no letters and no words, but a fixed list of ",
    `${count(data.model.vocabulary)} pieces. Rare words are put together from several. Your text became `,
    strong(`${numTokens} tokens`), `; ${special} of them are special tokens (in italics), which are always added. `,
    marks.join(" "), data.cut ? " The text was too long for this model, and its end was cut." : "");
  $("chips").replaceChildren(...data.tokens.map((token, index) => {
    const button = make("button", { type: "button", class: token.special ? "special" : null,
      "aria-pressed": String(index === chosen.token) }, piece(index));
    button.addEventListener("click", () => choose({ token: index }));
    return button;
  }));
  fillTable("tokens-table", "Every token, its number in the list, and the word that it is a part of",
    ["Place", "Piece", "Number in the list", "Word"],
    data.tokens.map((token, index) => [String(index), piece(index), count(token.id),
      token.word === null ? "(special)" : make("bdi", { text: token.word })]), chosen.token);
}

function showEmbedding() {
  const { token } = chosen, own = data.tokens[token];
  const parts = [["words", "its piece"], ["positions", `its place, number ${token}`], ["segments", `its text, number ${own.segment}`]];
  const vectors = parts.map(([name]) => vectorOf(name, token));
  const sum = vectors[0].map((value, i) => value + vectors[1][i] + vectors[2][i]);
  const entering = vectorOf("embedded", token);
  fill("embedding-text", "Every piece has a row of ", strong(`${width} numbers`), " of its own, learned in training: its ",
    strong("word embedding"), ". For the computer that row is all there is of ", piece(token),
    ". Two more rows are added, for the place of the token and for the text that it stands in. The sum is brought to a ",
    "common scale (layer norm); that is the vector which enters the first layer.");
  const largest = largestOf(...vectors), largestSum = largestOf(entering);
  $("embedding-strips").replaceChildren(
    ...parts.map(([, what], i) => strip([`Row of ${what}, length ${decimals(norm(vectors[i]), 2)}`], vectors[i], largest)),
    strip([`Their sum, length ${decimals(norm(sum), 2)}`], sum, largest),
    strip([`After the norm, length ${decimals(norm(entering), 2)} (with a colour scale of its own: full is ${decimals(largestSum, 2)})`], entering, largestSum));
  legend("embedding-legend", largest);
  whenOpen("embedding-details", () => fillTable("embedding-table", `The numbers of token ${token}`,
    ["Number", "Piece", "Place", "Text", "Sum", "After the norm"],
    Array.from(sum, (value, i) => [String(i + 1), ...vectors.map((v) => decimals(v[i], 4)), decimals(value, 4), decimals(entering[i], 4)])));
  const near = data.neighbours[token];
  fill("neighbours-text", "Rows that point in a similar direction belong to pieces that are used in similar ways. The measure is the ",
    "cosine: 1 is the same direction, 0 is none in common. Nearest to ", piece(token), " in the whole list:");
  fillTable("neighbours-table", "Pieces with similar word embeddings", ["Piece", "Cosine"],
    near.map((found) => [make("bdi", { text: found.piece }), decimals(found.cosine)]));
}

function showContext() {
  const { token, layer } = chosen;
  fill("context-text", "So far ", piece(token), " has the same numbers in every sentence, at this place. Each layer then adds ",
    "what the token takes from its neighbours: that is ", strong("context"), ". The cosine between its vector after each layer ",
    "and the one that entered shows how much of its first direction is left.");
  fillTable("context-table", "Cosine with the vector that entered the first layer", ["After", "Cosine", ""],
    Array.from({ length: numLayers + 1 }, (_, state) => [state ? `layer ${state}` : "embedding",
      decimals(kept(state, token)), barCell(kept(state, token))]), layer + 1);
  const state = layer + 1;
  fill("likeness-title", "After layer ", String(state), ", the vector of ", piece(token), " is most like those of");
  const others = data.tokens.map((_, index) => index).filter((index) => index !== token)
    .sort((a, b) => likeness(state, token, b) - likeness(state, token, a)).slice(0, 8);
  fillTable("likeness-table", "Cosine between vectors of this sentence, before the first layer and now",
    ["Token", "Before", "Now", ""],
    others.map((other) => [piece(other), decimals(likeness(0, token, other)), decimals(likeness(state, token, other)),
      barCell(likeness(state, token, other))]));
  showTwice(state);
}

/** The same piece at two places: the clearest sight of context. */
function showTwice(state) {
  const { token } = chosen, id = data.tokens[token].id;
  const again = data.tokens.findIndex((other, index) => index !== token && other.id === id);
  if (again < 0) {
    fill("twice", make("p", { class: "muted",
      text: "This token occurs once here. Try a sentence that has a word twice in different senses: both begin with the same word embedding, and part in the layers." }));
    return;
  }
  fill("twice", make("p", { class: "note" }, strong("The same piece twice. "), piece(token),
    ` stands at the places ${token} and ${again}. Both have the same word embedding. Before the first layer, with the rows of their places added, the cosine between them is `,
    strong(decimals(likeness(0, token, again))), `; after layer ${state} it is `, strong(decimals(likeness(state, token, again))), "."));
}

function showQueryKeyValue() {
  const { layer, head, token, other } = chosen;
  const query = headVector("queries", layer, head, token);
  const key = headVector("keys", layer, head, other), value = headVector("values", layer, head, other);
  const largest = largestOf(query, key), largestValue = largestOf(value);
  const where = `layer ${layer + 1}, head ${head + 1}`;
  $("qkv-strips").replaceChildren(
    strip([strong("Query"), " of ", piece(token), ` in ${where}`], query, largest),
    strip([strong("Key"), " of ", piece(other)], key, largest),
    strip([strong("Value"), " of ", piece(other), ` (full colour is ${decimals(largestValue, 2)})`], value, largestValue));
  legend("qkv-legend", largest);
  whenOpen("qkv-details", () => fillTable("qkv-table", "Query, key, their product, and value, number by number",
    ["Number", "Query", "Key", "Query × key", "Value"],
    Array.from(query, (number, i) => [String(i + 1), decimals(number, 4), decimals(key[i], 4), decimals(number * key[i], 4), decimals(value[i], 4)])));
}

function showWeights() {
  const { layer, head, token, other } = chosen;
  const found = attentionOf(layer, head, token);
  const query = headVector("queries", layer, head, token), key = headVector("keys", layer, head, other);
  const products = query.map((number, i) => number * key[i]);
  const step = (...parts) => make("li", {}, ...parts);
  $("pair-steps").replaceChildren(
    step("The query of ", piece(token), " is multiplied with the key of ", piece(other),
      `, number by number, and the ${headWidth} products are added. The score is `, strong(decimals(found.scores[other])), "."),
    step(`The score is divided by √${headWidth} = ${decimals(Math.sqrt(headWidth), 2)}, so that wide heads have no greater scores than narrow ones: `,
      strong(decimals(found.scaled[other])), "."),
    step("The same is done with the key of every token. ", strong("Softmax"), " makes weights of the scores: e to the power of each, ",
      "divided by the sum of all. They are positive and add up to 1. The weight of ", piece(other), " is ",
      strong(decimals(found.weights[other])), "."));
  $("product-strip").replaceChildren(strip(["Query × key, number by number; the sum is the score"], products, largestOf(products)));
  fill("weights-title", "Where ", piece(token), ` looks in layer ${layer + 1}, head ${head + 1}`);
  $("shaded").replaceChildren(...found.weights.map((weight, index) => {
    const chip = make("span", { class: data.tokens[index].special ? "special" : null }, piece(index));
    shade(chip, weight);
    return chip;
  }));
  fillTable("weights-table", `Scores and weights; e to the power of (scaled score − ${decimals(found.largest)}), divided by ${decimals(found.sum)}`,
    ["Token", "Score", "Scaled", "Power of e", "Weight", ""],
    data.tokens.map((_, index) => [piece(index), decimals(found.scores[index]), decimals(found.scaled[index]),
      decimals(found.powers[index]), decimals(found.weights[index]), barCell(found.weights[index])]), other);
  const mixed = mixture(layer, head, found.weights);
  fill("mix-text", "What this head hands on for ", piece(token), " is the sum of all values, each times its weight:");
  $("mix-strip").replaceChildren(strip([`Weighted sum of the values (full colour is ${decimals(largestOf(mixed), 2)})`], mixed, largestOf(mixed)));
}

/** A background as strong as a weight; the text stays readable on it. */
function shade(element, weight) {
  element.style.background = `color-mix(in srgb, var(--good-fill) ${(65 * Math.min(1, weight)).toFixed(1)}%, transparent)`;
}

function showHeads() {
  const { layer, head, token } = chosen;
  fill("heads-text", `Each of the ${numLayers} layers has ${numHeads} heads with matrices of their own, so that they can look for different things. `,
    `Here are the weights of all heads of layer ${layer + 1}: rows look, columns are looked at. Choose one.`);
  const paint = getComputedStyle(document.documentElement).getPropertyValue("--good-fill").trim();
  const rows = [];
  $("heads").replaceChildren(...Array.from({ length: numHeads }, (_, index) => {
    const weights = weightsOf(layer, index);
    const best = weights[token].map((weight, other) => [weight, other]).sort((a, b) => b[0] - a[0]).slice(0, 2);
    rows.push([`head ${index + 1}`, ...best.flatMap(([weight, other]) => [piece(other), percent(weight)])]);
    const canvas = make("canvas", { width: numTokens, height: numTokens, "aria-hidden": "true" });
    const context = canvas.getContext("2d");
    context.fillStyle = paint;
    weights.forEach((row, y) => row.forEach((weight, x) => {
      // The root lets small weights be seen beside large ones.
      context.globalAlpha = Math.sqrt(weight);
      context.fillRect(x, y, 1, 1);
    }));
    const button = make("button", { type: "button", "aria-pressed": String(index === head) }, canvas, `Head ${index + 1}`);
    button.addEventListener("click", () => choose({ head: index }));
    return button;
  }));
  fillTable("heads-table", `Where token ${token} looks most, in each head of layer ${layer + 1}`,
    ["Head", "Most at", "Weight", "Then at", "Weight"], rows, head);
  fill("after-text", `The ${numHeads} weighted sums are put side by side, ${numHeads} × ${headWidth} = ${width} numbers again. One more matrix mixes them, `,
    "the result is added to the vector that came in, and a small network works on each token by itself (feed-forward). Then the next layer begins. ",
    data.model.pooling === "cls" ? "After the last layer, the vector of the first token stands for the whole text, and a last small layer makes the answer of it."
      : `After the last layer, ${data.model.pooling === "max" ? "the largest number in each place" : "the average"} of all vectors stands for the whole text, and a last small layer makes the answer of it.`);
}

function showMatrix() {
  const { layer, head, token, other } = chosen;
  fill("matrix-title", `All weights of layer ${layer + 1}, head ${head + 1}`);
  const weights = weightsOf(layer, head);
  const showNumbers = numTokens <= 16;
  const name = (index, own) => make("th", { scope: own === "row" ? "row" : "col",
    class: index === (own === "row" ? token : other) ? "chosen-name" : null }, piece(index));
  const head_ = make("thead", {}, make("tr", {}, make("td", { class: "corner" }), ...data.tokens.map((_, index) => name(index, "col"))));
  const body = make("tbody", {}, ...weights.map((row, y) => make("tr", {}, name(y, "row"), ...row.map((weight, x) => {
    const number = make("span", { class: showNumbers ? null : "visually-hidden", text: weight.toFixed(2).replace(/^0/, "") });
    const cell = make("td", { class: `${showNumbers ? "wide" : ""} ${y === token && x === other ? "chosen" : ""}` }, number);
    shade(cell, Math.sqrt(weight));
    cell.addEventListener("click", () => choose({ token: y, other: x }));
    return cell;
  }))));
  $("matrix").replaceChildren(head_, body);
}

/** Long tables are made when somebody wants to see them. */
const openers = new Map();
function whenOpen(id, show) {
  if (!openers.has(id)) $(id).addEventListener("toggle", () => $(id).open && openers.get(id)());
  openers.set(id, show);
  if ($(id).open) show();
}

function choose(change) {
  const had = document.activeElement, group = had && had.closest("#chips, #heads");
  const place = group ? Array.from(group.children).indexOf(had) : -1;
  Object.assign(chosen, change);
  for (const name of ["layer", "head", "token", "other"]) $(name).value = String(chosen[name]);
  showTokens(); showEmbedding(); showContext(); showQueryKeyValue(); showWeights(); showHeads(); showMatrix();
  // The buttons are new ones: whoever came by keyboard stays where he was.
  if (place >= 0) group.children[place].focus();
}

/** The token that the page begins with: the longest one that occurs twice, which shows context best, or the longest. */
function firstToken() {
  const length = (token) => token.special ? 0 : token.piece.replace(/[^\p{L}]/gu, "").length;
  const isTwice = (token) => length(token) > 3 && data.tokens.filter((other) => other.id === token.id).length > 1;
  const rank = (token) => length(token) + (isTwice(token) ? 1000 : 0);
  return data.tokens.reduce((best, token, index) => rank(token) > rank(data.tokens[best]) ? index : best, 0);
}

function start() {
  const { answer, model } = data;
  fill("sentence", data.text, ...(data.pair === null ? [] : [make("br"), data.pair]));
  const sure = answer.probability === null ? "" : ` (${percent(answer.probability)})`;
  fill("model-facts", "The model answers ", make("strong", {}, make("bdi", { text: answer.text })), sure, ". Its encoder, ",
    make("bdi", { text: model.encoder }), `, has ${numLayers} layers with ${numHeads} heads each, and ${width} numbers for each token.`);
  const option = (value, text) => make("option", { value: String(value), text });
  for (let i = 0; i < numLayers; i++) $("layer").append(option(i, String(i + 1)));
  for (let i = 0; i < numHeads; i++) $("head").append(option(i, String(i + 1)));
  data.tokens.forEach((token, index) => {
    for (const id of ["token", "other"]) $(id).append(option(index, `${index}  ${token.piece}`));
  });
  for (const name of ["layer", "head", "token", "other"]) {
    $(name).addEventListener("change", () => choose({ [name]: Number($(name).value) }));
  }
  const layer = Math.floor(numLayers / 2);
  const token = firstToken(), weights = attentionOf(layer, 0, token).weights;
  const other = weights.map((weight, index) => [index === token || data.tokens[index].special ? -1 : weight, index]).sort((a, b) => b[0] - a[0])[0][1];
  choose({ layer, head: 0, token, other });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showHeads);
}

start();
