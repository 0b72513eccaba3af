"use strict";
// The numbers of the page, and what is computed from them: scores, weights and mixtures.
const data = JSON.parse(document.getElementById("data").textContent);
const numTokens = data.tokens.length;
const { layers: numLayers, heads: numHeads, width } = data.model;
const headWidth = width / numHeads;

function unpacked(base64) {
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

const unpackedOnce = new Map();

/** The array that lies under a name, of a layer where it has one for each. */
function numbers(name, layer = null) {
  const key = `${name}/${layer}`;
  if (!unpackedOnce.has(key)) {
    unpackedOnce.set(key, unpacked(layer === null ? data[name] : data[name][layer]));
  }
  return unpackedOnce.get(key);
}

/** A token's vector of `width` numbers: "words", "positions", "segments" or "embedded". */
function vectorOf(name, token) {
  return numbers(name).subarray(token * width, (token + 1) * width);
}

/** A token's "queries", "keys" or "values" in one head. */
function headVector(name, layer, head, token) {
  const start = (head * numTokens + token) * headWidth;
  return numbers(name, layer).subarray(start, start + headWidth);
}

function product(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function norm(vector) {
  return Math.sqrt(product(vector, vector));
}

/** What one token's query gives with the keys of all: scores, the same by the root of the width, weights. */
function attentionOf(layer, head, token) {
  const query = headVector("queries", layer, head, token);
  const scores = [];
  for (let other = 0; other < numTokens; other++) {
    scores.push(product(query, headVector("keys", layer, head, other)));
  }
  const scaled = scores.map((score) => score / Math.sqrt(headWidth));
  const largest = Math.max(...scaled);
  // The largest is taken away before, which changes no weight and keeps the powers small.
  const powers = scaled.map((score) => Math.exp(score - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return { scores, scaled, powers, sum, largest, weights: powers.map((power) => power / sum) };
}

/** The weights of a head, one row a token. */
function weightsOf(layer, head) {
  return data.tokens.map((_, token) => attentionOf(layer, head, token).weights);
}

/** The values of all tokens, each times its weight, added. */
function mixture(layer, head, weights) {
  const mixed = new Float32Array(headWidth);
  weights.forEach((weight, other) => {
    headVector("values", layer, head, other).forEach((value, i) => { mixed[i] += weight * value; });
  });
  return mixed;
}

/** How like two tokens' vectors are before the first layer (state 0) or after a layer. */
function likeness(state, a, b) {
  return numbers("likeness", state)[a * numTokens + b];
}

/** How much of a token's direction before the first layer is left. */
function kept(state, token) {
  return numbers("kept", state)[token];
}
