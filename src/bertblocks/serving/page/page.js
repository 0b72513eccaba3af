"use strict";
/* The page asks the server as any client does. What users and models wrote is only ever put in as text. */
const $ = (id) => document.getElementById(id);
const TOKEN = "bertblocks-token";
const ROWS_AT_A_TIME = 64;
const ROWS_SHOWN = 500;
let model = null;

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) made.setAttribute(key, value);
  }
  return made;
}

function show(id, yes) { $(id).hidden = !yes; }

function complain(message) {
  $("trouble").textContent = message;
  show("trouble", message !== "");
}

class Refused extends Error {
  constructor(message, status) { super(message); this.status = status; }
}

async function ask(path, body) {
  const headers = {};
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.Authorization = "Bearer " + token;
  const options = { headers, cache: "no-store" };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  }
  let reply;
  try {
    reply = await fetch(here(path), options);
  } catch (error) {
    throw new Refused("The server cannot be reached.", 0);
  }
  let answer = null;
  try { answer = await reply.json(); } catch (error) { /* no JSON: the status says enough */ }
  if (!reply.ok) {
    if (reply.status === 401) askForToken();
    throw new Refused((answer && answer.error) || "The server answered with status " + reply.status + ".", reply.status);
  }
  return answer;
}

/* Behind a proxy the server may have a path before its own. */
function here(path) { return new URL("." + path, location.href).href; }

function askForToken() {
  const had = sessionStorage.getItem(TOKEN);
  sessionStorage.removeItem(TOKEN);
  show("content", false);
  show("token-form", true);
  $("summary").textContent = "";
  complain(had ? "This token is not good." : "");
  $("token").focus();
}

async function begin() {
  try {
    model = await ask("/v1/model");
  } catch (error) {
    if (error.status !== 401) complain(error.message);
    return;
  }
  complain("");
  show("token-form", false);
  show("content", true);
  describe();
}

/* What the model is */

function describe() {
  const vectors = model.task === "embedding";
  document.title = model.name + " · bertblocks";
  $("title").textContent = model.name;
  $("summary").textContent = summary(vectors);
  const pairs = model.inputs.length === 2;
  $("text-label").textContent = pairs ? "First text (" + model.inputs[0] + ")" : "Text";
  show("second-row", pairs || vectors);
  $("second-label").textContent = vectors ? "Compare it with these texts, one a line" : "Second text (" + model.inputs[1] + ")";
  $("ask-button").textContent = vectors ? "Compare" : "Ask";
  show("explain-button", model.explains);
  show("second-column-row", pairs);
  show("table-section", !vectors);
  facts(vectors);
  scores();
  if (model.card) {
    const heading = element("h3", "Its model card");
    $("card").before(heading);
    // Made by the server from Markdown, without any HTML of the card's own.
    $("card").innerHTML = model.card;
  }
  code(vectors, pairs);
}

function summary(vectors) {
  if (vectors) return "An encoder: it turns a text into a vector of " + model.hidden_size + " numbers.";
  const kinds = {
    classification: "one of " + model.labels.length + " classes",
    binary: "yes or no: " + model.labels.join(" or "),
    multilabel: "any of " + model.labels.length + " labels",
    regression: "a number",
  };
  return "It reads " + model.inputs.join(" and ") + ", and predicts " + model.target + ": " + kinds[model.task] + ".";
}

function facts(vectors) {
  const rows = [
    ["Answers with", vectors ? "a vector of " + model.hidden_size + " numbers" : model.target + " (" + model.task + ")"],
    ["Labels", model.labels.length ? model.labels.slice(0, 50).join(", ") + (model.labels.length > 50 ? " …" : "") : null],
    ["Reads", model.sequence_length + " tokens of a text; longer ones are " + (model.slides ? "read in windows" : "cut")],
    ["Vocabulary", model.vocabulary_size.toLocaleString("en") + " tokens"],
    ["Precision", model.precision + " (" + model.precision_reason + ")"],
    ["A request may have", model.limits.texts_per_request.toLocaleString("en") + " texts of " + model.limits.text_characters.toLocaleString("en") + " characters"],
    ["Served by", "bertblocks " + model.version],
  ];
  const body = $("facts");
  body.replaceChildren();
  for (const [name, value] of rows) {
    if (value === null) continue;
    const row = element("tr");
    row.append(element("th", name, { scope: "row" }), element("td", value));
    body.append(row);
  }
}

function scores() {
  const found = model.scores;
  if (!found) return;
  const box = $("scores");
  box.append(element("h3", "How good it was when it was trained"));
  const metrics = Object.entries(found.metrics).filter(([, value]) => value !== null);
  box.append(element("p", "On " + found.rows.toLocaleString("en") + " rows: " + metrics.map(([name, value]) => name + " " + rounded(value)).join(", ") + "."));
  if (!found.groups.length) return;
  const table = element("table");
  table.append(element("caption", found.metric + " by " + found.group_by));
  const head = element("thead"), body = element("tbody"), row = element("tr");
  for (const [name, kind] of [[found.group_by, ""], ["Rows", "number"], [found.metric, "number"]]) row.append(element("th", name, { scope: "col", class: kind }));
  head.append(row);
  for (const group of found.groups) {
    const line = element("tr");
    line.append(element("th", group.name, { scope: "row" }), element("td", group.rows.toLocaleString("en"), { class: "number" }), element("td", group.value === null ? "–" : rounded(group.value), { class: "number" }));
    body.append(line);
  }
  table.append(head, body);
  const scroll = element("div", null, { class: "scroll", tabindex: "0", role: "region", "aria-label": "Scores by " + found.group_by });
  scroll.append(table);
  box.append(scroll);
}

function rounded(value) { return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3))); }

/* One text */

$("ask").addEventListener("submit", (event) => { event.preventDefault(); askOne(); });
for (const id of ["text", "second"]) {
  $(id).addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); askOne(); }
  });
}

function given() {
  const text = $("text").value;
  return model.inputs.length === 2 ? [text, $("second").value] : text;
}

async function busy(button, work) {
  button.disabled = true;
  complain("");
  try { await work(); } catch (error) { if (!(error instanceof Refused)) throw error; if (error.status !== 401) complain(error.message); } finally { button.disabled = false; }
}

function askOne() {
  $("words").replaceChildren();
  return busy($("ask-button"), model.task === "embedding" ? compare : predict);
}

async function predict() {
  const text = given();
  const { predictions: [answer] } = await ask("/v1/predict", { texts: [text] });
  if (answer.error) { $("answer").replaceChildren(); complain(answer.error); return; }
  const box = $("answer");
  box.replaceChildren(element("p", inWords(answer), { class: "answer" }));
  const labels = Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]);
  if (labels.length) box.append(shares(labels, answer.prediction));
  box.append(element("p", counted(answer)));
  if (answer.truncated && !Array.isArray(text)) await showCut(box, text);
}

function inWords(answer) {
  const found = answer.prediction;
  if (typeof found === "number") return model.target + ": " + rounded(found);
  if (Array.isArray(found)) return found.length ? found.join(", ") : "none of the labels";
  return found;
}

function shares(labels, given) {
  const table = element("table", null, { class: "shares" });
  table.append(element("caption", "Probability of each label"));
  const body = element("tbody");
  const chosen = Array.isArray(given) ? given : [given];
  for (const [label, share] of labels) {
    const row = element("tr", null, { class: chosen.includes(label) ? "given" : "" });
    const track = element("td", null, { class: "track", "aria-hidden": "true" });
    const bar = element("span", null, { class: "bar" });
    bar.style.width = (100 * share).toFixed(1) + "%";
    track.append(bar);
    row.append(element("th", label, { scope: "row" }), element("td", percent(share), { class: "number" }), track);
    body.append(row);
  }
  table.append(body);
  return table;
}

function percent(share) { return (100 * share).toFixed(1) + " %"; }

function counted(answer) {
  const tokens = answer.num_tokens.toLocaleString("en") + (answer.num_tokens === 1 ? " token" : " tokens");
  let told = "The text has " + tokens + ".";
  if (answer.truncated) told += " The model reads " + model.sequence_length + ": the rest was cut, and had no part in the answer.";
  else if (answer.num_tokens > model.sequence_length) told += " It was read in windows of " + model.sequence_length + ".";
  if (answer.num_unknown) told += " " + answer.num_unknown.toLocaleString("en") + " of them are unknown to the vocabulary.";
  return told;
}

async function showCut(box, text) {
  const [tokens] = await ask("/tokenize", { inputs: text });
  const ends = tokens.map((token) => token.stop).filter((stop) => stop !== null);
  if (!ends.length) return;
  // Places are counted in characters, of which some are two units of a JavaScript string.
  const characters = Array.from(text), end = Math.max(...ends);
  const read = element("p", characters.slice(0, end).join(""), { class: "read", tabindex: "0", "aria-label": "What was read, and what was cut" });
  read.append(element("span", " [cut:] ", { class: "visually-hidden" }), element("span", characters.slice(end).join(""), { class: "cut" }));
  box.append(read);
}

$("explain-button").addEventListener("click", () => busy($("explain-button"), async () => {
  if (!$("ask").reportValidity()) return;
  await predict();
  const text = given();
  const found = await ask("/v1/explain", { text });
  const box = $("words");
  box.replaceChildren(element("h3", found.label === null ? "Words that mattered" : "Words that mattered for " + found.label));
  box.append(element("p", "A word is underlined when the answer would be weaker (solid) or stronger (dashed) without it.", { class: "muted" }));
  const texts = Array.isArray(text) ? text : [text];
  texts.forEach((part, index) => box.append(marked(part, found.words.filter((word) => word.in_pair === (index === 1)))));
  box.append(byWeight(found.words));
}));

function marked(text, words) {
  const characters = Array.from(text), line = element("p", null, { class: "read" });
  const most = Math.max(...words.map((word) => Math.abs(word.weight)), 1e-9);
  let at = 0;
  for (const word of words) {
    line.append(characters.slice(at, word.start).join(""));
    const strength = Math.abs(word.weight) / most, kind = word.weight >= 0 ? "for" : "against";
    const mark = element("mark", characters.slice(word.start, word.end).join(""), strength > 0.1 ? { class: kind, title: signed(word.weight) } : {});
    if (strength > 0.1) mark.style.backgroundColor = "color-mix(in srgb, var(--" + (kind === "for" ? "good" : "bad") + "-fill) " + Math.round(45 * strength) + "%, transparent)";
    line.append(mark);
    at = word.end;
  }
  line.append(characters.slice(at).join(""));
  return line;
}

function signed(weight) { return (weight < 0 ? "−" : "+") + Math.abs(weight).toPrecision(3); }

function byWeight(words) {
  const details = element("details");
  details.append(element("summary", "All words by weight"));
  const table = element("table"), body = element("tbody"), head = element("thead"), first = element("tr");
  first.append(element("th", "Word", { scope: "col" }), element("th", "Weight", { scope: "col", class: "number" }));
  head.append(first);
  for (const word of [...words].sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight))) {
    const row = element("tr");
    row.append(element("th", word.text, { scope: "row" }), element("td", signed(word.weight), { class: "number" }));
    body.append(row);
  }
  table.append(head, body);
  details.append(table);
  return details;
}

async function compare() {
  const sentences = $("second").value.split("\n").map((line) => line.trim()).filter((line) => line);
  if (!sentences.length) { complain("Write at least one text to compare with."); return; }
  const cosines = await ask("/similarity", { inputs: { source_sentence: $("text").value, sentences } });
  const rows = sentences.map((text, index) => [text, cosines[index]]).sort((a, b) => (typeof b[1] === "number" ? b[1] : -2) - (typeof a[1] === "number" ? a[1] : -2));
  const table = element("table", null, { class: "shares" }), body = element("tbody");
  table.append(element("caption", "Likeness to the text, from −1 to 1 (cosine of the vectors), the likest first"));
  for (const [text, cosine] of rows) {
    const row = element("tr"), good = typeof cosine === "number";
    row.append(element("th", text, { scope: "row" }), element("td", good ? cosine.toFixed(3) : cosine.error, { class: good ? "number" : "wrong" }));
    body.append(row);
  }
  table.append(body);
  $("answer").replaceChildren(table);
}

/* Tables: RFC 4180, or with tabs */

let table = null;
let stopped = false;

function parse(content) {
  const text = content.replace(/^\ufeff/, "");
  const first = text.slice(0, text.search(/\r?\n|$/));
  const between = first.includes("\t") ? "\t" : (first.split(";").length > first.split(",").length ? ";" : ",");
  const rows = [];
  let row = [], cell = "", quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c === '"' && text[i + 1] === '"') { cell += '"'; i++; } else if (c === '"') quoted = false; else cell += c;
    } else if (c === '"' && cell === "") quoted = true;
    else if (c === between) { row.push(cell); cell = ""; } else if (c === "\n" || c === "\r") {
      if (c === "\r" && text[i + 1] === "\n") i++;
      row.push(cell); rows.push(row); row = []; cell = "";
    } else cell += c;
  }
  if (quoted) throw new Refused("A quote in the table is never closed.", 0);
  if (cell !== "" || row.length) { row.push(cell); rows.push(row); }
  return rows.filter((cells) => cells.some((value) => value !== ""));
}

function take(content, name) {
  complain("");
  try {
    const [header, ...rows] = parse(content);
    if (!header || !rows.length) throw new Refused("The table needs a line of column names, and a row.", 0);
    table = { header, rows, name, answers: [] };
  } catch (error) {
    table = null;
    show("columns", false);
    complain(error.message);
    return;
  }
  for (const [index, id] of ["column", "second-column"].entries()) {
    const select = $(id);
    select.replaceChildren(...table.header.map((column, at) => element("option", column || "column " + (at + 1), { value: at })));
    const own = table.header.indexOf(model.inputs[index]);
    select.value = String(own >= 0 ? own : Math.min(index, table.header.length - 1));
  }
  show("columns", true);
  show("download", false);
  show("rows", false);
  $("progress").textContent = table.rows.length.toLocaleString("en") + (table.rows.length === 1 ? " row" : " rows") + " are ready.";
}

async function takeFile(file) {
  if (file.size > 50e6) { complain("The file is larger than 50 MB: `bertblocks predict` takes tables of any size."); return; }
  take(await file.text(), file.name);
}

$("file").addEventListener("change", (event) => { if (event.target.files[0]) takeFile(event.target.files[0]); });
$("pasted").addEventListener("change", (event) => { if (event.target.value.trim()) take(event.target.value, "table.csv"); });
$("pasted").addEventListener("paste", () => setTimeout(() => { if ($("pasted").value.trim()) take($("pasted").value, "table.csv"); }, 0));
for (const kind of ["dragenter", "dragover"]) $("drop").addEventListener(kind, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
$("drop").addEventListener("dragleave", () => $("drop").classList.remove("over"));
$("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  const file = event.dataTransfer.files[0];
  if (file) takeFile(file); else if (event.dataTransfer.getData("text")) take(event.dataTransfer.getData("text"), "table.csv");
});

$("stop").addEventListener("click", () => { stopped = true; });
$("run").addEventListener("click", () => busy($("run"), async () => {
  stopped = false;
  show("stop", true);
  try { await runAll(); } finally { show("stop", false); }
}));

async function runAll() {
  const column = Number($("column").value), second = Number($("second-column").value);
  const text = (row) => model.inputs.length === 2 ? [row[column] || "", row[second] || ""] : row[column] || "";
  table.answers = [];
  const body = answerTable();
  const atATime = Math.min(ROWS_AT_A_TIME, model.limits.texts_per_request);
  while (table.answers.length < table.rows.length && !stopped) {
    const start = table.answers.length, rows = table.rows.slice(start, start + atATime);
    const found = await answersOf(rows.map(text));
    found.forEach((answer, index) => {
      table.answers.push(answer);
      if (start + index < ROWS_SHOWN) body.append(answerRow(start + index + 1, text(rows[index]), answer));
    });
    $("progress").textContent = table.answers.length.toLocaleString("en") + " of " + table.rows.length.toLocaleString("en") + " rows are answered." + (table.answers.length > ROWS_SHOWN ? " The first " + ROWS_SHOWN + " are shown; all are in the download." : "");
  }
  offerDownload();
}

async function answersOf(texts) {
  for (;;) {
    try {
      return (await ask("/v1/predict", { texts })).predictions;
    } catch (error) {
      // No row of these has an answer; or there is too much to do, which passes.
      if (error.status === 422) return texts.map(() => ({ error: error.message }));
      if ((error.status !== 429 && error.status !== 503) || stopped) throw error;
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

function answerTable() {
  const made = element("table"), head = element("thead"), body = element("tbody"), row = element("tr");
  for (const name of ["Row", "Text", model.target, model.labels.length ? "Probability" : "", "Tokens"]) row.append(element("th", name, { scope: "col" }));
  head.append(row);
  made.append(element("caption", "Answers by row"), head, body);
  $("rows").replaceChildren(made);
  show("rows", true);
  return body;
}

function answerRow(number, text, answer) {
  const row = element("tr"), shown = Array.isArray(text) ? text.join(" · ") : text;
  row.append(element("th", number, { scope: "row" }), element("td", shown.length > 300 ? shown.slice(0, 300) + " …" : shown));
  if (answer.error) { row.append(element("td", answer.error, { class: "wrong", colspan: "3" })); return row; }
  const share = typeof answer.prediction === "string" ? percent(answer.probabilities[answer.prediction]) : "";
  row.append(element("td", inWords(answer).replace(model.target + ": ", "")), element("td", share, { class: "number" }), element("td", answer.num_tokens + (answer.truncated ? " (cut)" : ""), { class: "number" }));
  return row;
}

function offerDownload() {
  const quote = (value) => /[",\r\n]/.test(value) ? '"' + value.replace(/"/g, '""') + '"' : value;
  const lines = [[...table.header, "prediction", ...model.labels.map((label) => "probability:" + label), "num_tokens", "truncated", "error"]];
  table.rows.slice(0, table.answers.length).forEach((row, index) => {
    const answer = table.answers[index], cells = table.header.map((_, at) => row[at] || "");
    const prediction = answer.error ? "" : Array.isArray(answer.prediction) ? answer.prediction.join("|") : String(answer.prediction);
    lines.push([...cells, prediction, ...model.labels.map((label) => answer.error ? "" : String(answer.probabilities[label])), answer.error ? "" : String(answer.num_tokens), answer.error ? "" : String(answer.truncated), answer.error || ""]);
  });
  const content = lines.map((cells) => cells.map(quote).join(",")).join("\r\n") + "\r\n";
  const link = $("download");
  if (link.href) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob(["\ufeff" + content], { type: "text/csv" }));
  link.download = table.name.replace(/\.[^.]*$/, "") + "-answers.csv";
  show("download", true);
}

/* Lines to copy */

function code(vectors, pairs) {
  const path = vectors ? "/embed" : "/v1/predict";
  const texts = pairs ? [["A first text", "A second text"]] : ["A text", "Another text"];
  const body = JSON.stringify(vectors ? { inputs: texts } : { texts });
  const token = model.needs_token;
  $("curl").textContent = "curl " + here(path) + (token ? ' \\\n  -H "Authorization: Bearer $TOKEN"' : "") + " \\\n  -H 'Content-Type: application/json' \\\n  -d '" + body + "'";
  $("python").textContent = [
    "import json, " + (token ? "os, " : "") + "urllib.request",
    "",
    "request = urllib.request.Request(",
    '    "' + here(path) + '",',
    "    json.dumps(" + body + ").encode(),",
    '    {"Content-Type": "application/json"' + (token ? ', "Authorization": "Bearer " + os.environ["TOKEN"]' : "") + "},",
    ")",
    vectors ? "vectors = json.load(urllib.request.urlopen(request))" : 'answers = json.load(urllib.request.urlopen(request))["predictions"]',
  ].join("\n");
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText($(button.dataset.copy).textContent);
      $("copied").textContent = "Copied.";
    } catch (error) {
      getSelection().selectAllChildren($(button.dataset.copy));
      $("copied").textContent = "Selected: copy it with the keyboard.";
    }
  });
}

$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, $("token").value.trim());
  $("token").value = "";
  begin();
});

begin();
