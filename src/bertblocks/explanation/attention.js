// What the page shows: one function for each part, and the choice that all of them follow.
const chosen = { layer: 0, head: 0, token: 0, other: 0 };

function showTokens() {
  const special = data.tokens.filter((token) => token.special).length;
  const has = (test) => data.tokens.some((token) => test(token.piece));
  fill("tokens-text",
    "The model knows no letters and no words, but a fixed list of ",
    `${count(data.model.vocabulary)} pieces. Rare words are put together from several. Your text became `,
    strong(`${numTokens} tokens`),
    `; ${special} of them are special tokens (in italics), which are always added. `,
    has((text) => text.startsWith("##")) ? "## begins a piece that continues a word. " : "",
    has((text) => text.includes("\u2581")) ? "\u2581 marks where a word begins. " : "",
    data.cut ? "The text was too long for this model, and its end was cut." : "");
  $("chips").replaceChildren(...data.tokens.map((token, index) => {
    const pressed = String(index === chosen.token);
    const kind = token.special ? "special" : null;
    const button = make("button", { type: "button", class: kind, "aria-pressed": pressed }, piece(index));
    button.addEventListener("click", () => choose({ token: index }));
    return button;
  }));
  fillTable("tokens-table", "Every token, its number in the list, and the word that it is a part of",
    ["Place", "Piece", "Number in the list", "Word"],
    data.tokens.map((token, index) => [
      String(index), piece(index), count(token.id),
      token.word === null ? "(special)" : make("bdi", { text: token.word }),
    ]), chosen.token);
}

function showEmbedding() {
  const { token } = chosen;
  const vectors = ["words", "positions", "segments"].map((name) => vectorOf(name, token));
  const whose = ["its piece", `its place, number ${token}`, `its text, number ${data.tokens[token].segment}`];
  const sum = vectors[0].map((value, i) => value + vectors[1][i] + vectors[2][i]);
  const entering = vectorOf("embedded", token);
  fill("embedding-text",
    "Every piece has a row of ", strong(`${width} numbers`), " of its own, learned in training: its ",
    strong("word embedding"), ". For the computer that row is all there is of ", piece(token),
    ". Two more rows are added, for the place of the token and for the text that it stands in. The sum is ",
    "brought to a common scale (layer norm); that is the vector which enters the first layer.");
  const largest = largestOf(...vectors), largestEntering = largestOf(entering);
  const long = (vector) => `length ${decimals(norm(vector), 2)}`;
  const ownScale = `colours on a scale of their own, to ${decimals(largestEntering, 2)}`;
  $("embedding-strips").replaceChildren(
    ...vectors.map((vector, i) => strip([`Row of ${whose[i]}, ${long(vector)}`], vector, largest)),
    strip([`Their sum, ${long(sum)}`], sum, largest),
    strip([`After the norm, ${long(entering)} (${ownScale})`], entering, largestEntering));
  legend("embedding-legend", largest);
  whenOpen("embedding-details", () => fillTable("embedding-table", `The numbers of token ${token}`,
    ["Number", "Piece", "Place", "Text", "Sum", "After the norm"],
    Array.from(sum, (_, i) => [
      String(i + 1), ...[...vectors, sum, entering].map((vector) => decimals(vector[i], 4)),
    ])));
  fill("neighbours-text",
    "Rows that point in a similar direction belong to pieces that are used in similar ways. The measure is ",
    "the cosine: 1 is the same direction, 0 is none in common. Nearest to ", piece(token),
    " in the whole list:");
  fillTable("neighbours-table", "Pieces with similar word embeddings", ["Piece", "Cosine"],
    data.neighbours[token].map((found) => [make("bdi", { text: found.piece }), decimals(found.cosine)]));
}

function showContext() {
  const { token, layer } = chosen, state = layer + 1;
  fill("context-text",
    "So far ", piece(token), " has the same numbers in every sentence, at this place. Each layer then adds ",
    "what the token takes from its neighbours: that is ", strong("context"),
    ". The cosine between its vector after each layer and the one that entered shows how much of its first ",
    "direction is left.");
  fillTable("context-table", "Cosine with the vector that entered the first layer", ["After", "Cosine", ""],
    Array.from({ length: numLayers + 1 }, (_, after) => [
      after ? `layer ${after}` : "embedding", decimals(kept(after, token)), barCell(kept(after, token)),
    ]), state);
  fill("likeness-title", `After layer ${state}, the vector of `, piece(token), " is most like those of");
  const likest = data.tokens.map((_, index) => index).filter((index) => index !== token)
    .sort((a, b) => likeness(state, token, b) - likeness(state, token, a)).slice(0, 8);
  fillTable("likeness-table", "Cosine between vectors of this sentence, before the first layer and now",
    ["Token", "Before", "Now", ""],
    likest.map((other) => [
      piece(other), decimals(likeness(0, token, other)), decimals(likeness(state, token, other)),
      barCell(likeness(state, token, other)),
    ]));
  showTwice(state);
}

/** The same piece at two places: the clearest sight of context. */
function showTwice(state) {
  const { token } = chosen, { id } = data.tokens[token];
  const again = data.tokens.findIndex((other, index) => index !== token && other.id === id);
  if (again < 0) {
    fill("twice", make("p", { class: "muted" },
      "This token occurs once here. Try a sentence that has a word twice in different senses: both begin ",
      "with the same word embedding, and part in the layers."));
    return;
  }
  fill("twice", make("p", { class: "note" },
    strong("The same piece twice. "), piece(token), ` stands at the places ${token} and ${again}. Both have `,
    "the same word embedding. Before the first layer, with the rows of their places added, the cosine ",
    "between them is ", strong(decimals(likeness(0, token, again))), `; after layer ${state} it is `,
    strong(decimals(likeness(state, token, again))), "."));
}

function showQueryKeyValue() {
  const { layer, head, token, other } = chosen;
  const query = headVector("queries", layer, head, token);
  const key = headVector("keys", layer, head, other);
  const value = headVector("values", layer, head, other);
  const largest = largestOf(query, key), largestValue = largestOf(value);
  const ownScale = ` (colours on a scale of their own, to ${decimals(largestValue, 2)})`;
  const place = ` in layer ${layer + 1}, head ${head + 1}`;
  $("qkv-strips").replaceChildren(
    strip([strong("Query"), " of ", piece(token), place], query, largest),
    strip([strong("Key"), " of ", piece(other)], key, largest),
    strip([strong("Value"), " of ", piece(other), ownScale], value, largestValue));
  legend("qkv-legend", largest);
  whenOpen("qkv-details", () => fillTable("qkv-table", "Query, key, their product, and value",
    ["Number", "Query", "Key", "Query × key", "Value"],
    Array.from(query, (number, i) => [
      String(i + 1), ...[number, key[i], number * key[i], value[i]].map((x) => decimals(x, 4)),
    ])));
}

function showWeights() {
  const { layer, head, token, other } = chosen;
  const found = attentionOf(layer, head, token);
  const key = headVector("keys", layer, head, other);
  const products = headVector("queries", layer, head, token).map((number, i) => number * key[i]);
  const step = (...parts) => make("li", {}, ...parts);
  $("pair-steps").replaceChildren(
    step("The query of ", piece(token), " is multiplied with the key of ", piece(other),
      `, number by number, and the ${headWidth} products are added. The score is `,
      strong(decimals(found.scores[other])), "."),
    step(`The score is divided by √${headWidth} = ${decimals(Math.sqrt(headWidth), 2)}, so that wide `,
      "heads have no greater scores than narrow ones: ", strong(decimals(found.scaled[other])), "."),
    step("The same is done with the key of every token. ", strong("Softmax"), " makes weights of the ",
      "scores: e to the power of each, divided by the sum of all. They are positive and add up to 1. The ",
      "weight of ", piece(other), " is ", strong(decimals(found.weights[other])), "."));
  $("product-strip").replaceChildren(
    strip(["Query × key, number by number; the sum is the score"], products, largestOf(products)));
  fill("weights-title", "Where ", piece(token), ` looks in layer ${layer + 1}, head ${head + 1}`);
  $("shaded").replaceChildren(...found.weights.map((weight, index) => {
    const chip = make("span", { class: data.tokens[index].special ? "special" : null }, piece(index));
    shade(chip, weight);
    return chip;
  }));
  fillTable("weights-table",
    `Power of e: of the scaled score − ${decimals(found.largest)}. Weight: that by ${decimals(found.sum)}.`,
    ["Token", "Score", "Scaled", "Power of e", "Weight", ""],
    data.tokens.map((_, index) => [
      piece(index), ...["scores", "scaled", "powers", "weights"].map((name) => decimals(found[name][index])),
      barCell(found.weights[index]),
    ]), other);
  const mixed = mixture(layer, head, found.weights), largest = largestOf(mixed);
  fill("mix-text",
    "What this head hands on for ", piece(token), " is the sum of all values, each times its weight:");
  $("mix-strip").replaceChildren(
    strip([`Weighted sum of the values (colours to ${decimals(largest, 2)})`], mixed, largest));
}

function showHeads() {
  const { layer, head, token } = chosen;
  fill("heads-text",
    `Each of the ${numLayers} layers has ${numHeads} heads with matrices of their own, so that they can `,
    `look for different things. Here are the weights of all heads of layer ${layer + 1}: rows look, columns are `,
    "looked at. Choose one.");
  const weights = Array.from({ length: numHeads }, (_, index) => weightsOf(layer, index));
  $("heads").replaceChildren(...weights.map((own, index) => {
    const pressed = String(index === head);
    const button = make("button", { type: "button", "aria-pressed": pressed }, thumbnail(own));
    button.append(`Head ${index + 1}`);
    button.addEventListener("click", () => choose({ head: index }));
    return button;
  }));
  const rows = weights.map((own, index) => {
    const order = own[token].map((weight, other) => [weight, other]).sort((a, b) => b[0] - a[0]);
    const best = order.slice(0, 2).flatMap(([weight, other]) => [piece(other), percent(weight)]);
    return [`head ${index + 1}`, ...best];
  });
  fillTable("heads-table", `Where token ${token} looks most, in each head of layer ${layer + 1}`,
    ["Head", "Most at", "Weight", "Then at", "Weight"], rows, head);
  fill("after-text",
    `The ${numHeads} weighted sums are put side by side: ${numHeads} × ${headWidth} = ${width} numbers. `,
    "One more matrix mixes them, the result is added to the vector that came in, and a small network works ",
    "on each token by itself (feed-forward). Then the next layer begins. After the last layer, ",
    { cls: "the vector of the first token", max: "the largest number in each place, over all vectors,",
      average: "the average of all vectors" }[data.model.pooling],
    " stands for the whole text, and a last small part makes the answer of it.");
}

function showMatrix() {
  const { layer, head, token, other } = chosen;
  fill("matrix-title", `All weights of layer ${layer + 1}, head ${head + 1}`);
  const isNarrow = numTokens > 16;
  const name = (scope, index, selected) =>
    make("th", { scope, class: index === selected ? "chosen-name" : null }, piece(index));
  const cell = (weight, y, x) => {
    const number = weight.toFixed(2).replace(/^0/, "");
    const isChosen = y === token && x === other;
    const made = make("td", { class: `${isNarrow ? "" : "wide"} ${isChosen ? "chosen" : ""}` },
      make("span", { class: isNarrow ? "visually-hidden" : null, text: number }));
    shade(made, Math.sqrt(weight));
    made.addEventListener("click", () => choose({ token: y, other: x }));
    return made;
  };
  const corner = make("td", { class: "corner" });
  const columns = data.tokens.map((_, index) => name("col", index, other));
  const rows = weightsOf(layer, head).map((row, y) =>
    make("tr", {}, name("row", y, token), ...row.map((weight, x) => cell(weight, y, x))));
  fill("matrix", make("thead", {}, make("tr", {}, corner, ...columns)), make("tbody", {}, ...rows));
}

function choose(change) {
  const had = document.activeElement, group = had && had.closest("#chips, #heads");
  const place = group ? Array.from(group.children).indexOf(had) : -1;
  Object.assign(chosen, change);
  for (const name of Object.keys(chosen)) $(name).value = String(chosen[name]);
  showTokens();
  showEmbedding();
  showContext();
  showQueryKeyValue();
  showWeights();
  showHeads();
  showMatrix();
  // The buttons are new ones: whoever came by keyboard stays where he was.
  if (place >= 0) group.children[place].focus();
}

/** The longest token that occurs twice, which shows context best; or the longest one. */
function firstToken() {
  const letters = (token) => token.special ? 0 : token.piece.replace(/[^\p{L}]/gu, "").length;
  const times = (token) => data.tokens.filter((other) => other.id === token.id).length;
  const rank = (token) => letters(token) + (letters(token) > 3 && times(token) > 1 ? 1000 : 0);
  return data.tokens.reduce((best, token, index) => rank(token) > rank(data.tokens[best]) ? index : best, 0);
}

/** The token that another one looks at most, special ones and itself aside. */
function firstOther(layer, token) {
  const weights = attentionOf(layer, 0, token).weights;
  const rank = (index) => index === token || data.tokens[index].special ? -1 : weights[index];
  return weights.reduce((best, _, index) => rank(index) > rank(best) ? index : best, 0);
}

function start() {
  const { answer, model } = data;
  const texts = [data.text, data.pair].filter((text) => text !== null);
  fill("sentence", ...texts.map((text) => make("p", { dir: "auto", text })));
  fill("model-facts",
    "The model answers ", make("strong", {}, make("bdi", { text: answer.text })),
    answer.probability === null ? "" : ` (${percent(answer.probability)})`,
    ". Its encoder, ", make("bdi", { text: model.encoder }),
    `, has ${numLayers} layers with ${numHeads} heads each, and ${width} numbers for each token.`);
  const addOptions = (id, texts) => $(id).append(
    ...texts.map((text, index) => make("option", { value: String(index), text })));
  addOptions("layer", Array.from({ length: numLayers }, (_, index) => String(index + 1)));
  addOptions("head", Array.from({ length: numHeads }, (_, index) => String(index + 1)));
  for (const id of ["token", "other"]) {
    addOptions(id, data.tokens.map((token, index) => `${index}  ${token.piece}`));
  }
  for (const name of Object.keys(chosen)) {
    $(name).addEventListener("change", () => choose({ [name]: Number($(name).value) }));
  }
  const layer = Math.floor(numLayers / 2), token = firstToken();
  choose({ layer, head: 0, token, other: firstOther(layer, token) });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showHeads);
}

start();
