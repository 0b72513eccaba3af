"""README.md of a model's folder: what the hub reads of it, and that nothing in it can be injected."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard, metadata_load
from markdown_it import MarkdownIt

from bertblocks.assembly import assemble
from bertblocks.blocks import (
    BertEncoder,
    BertPooler,
    BertTokenizer,
    Dense,
    Graph,
    Target,
    Task,
    TextInput,
    TokenIdsInput,
)
from bertblocks.checkpoints import EncoderOrigin
from bertblocks.evaluation import (
    BaselineResult,
    CardFacts,
    TokenStatistics,
    TrainingRows,
    compute_metrics,
    evaluate,
    model_card,
)
from bertblocks.evaluation.card_facts import language_codes
from bertblocks.evaluation.card_text import LONGEST_NAME, front_matter, markdown, table
from bertblocks.inference import Predictor
from tiny import tiny_model
from tiny_ids import ids_model

TOPICS = Task(kind="classification", labels=("arts", "sport", "work"), temperature=1.25)
TAGS = Task(kind="multilabel", labels=("red", "big"), thresholds=(0.25, 0.5), temperatures=(2.0, 0.5))
RENDERER = MarkdownIt("commonmark", {"html": True}).enable("table")
HOSTILE = {
    "quotes": "a \"quoted\" 'label' \\",
    "lines": "one\ntwo\r\nthree\n---\nlicense: evil",
    "pipes": "| a | b |\n|---|---|",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "comment": "--> <!-- x",
    "link": "[x](javascript:alert(1)) ![y](http://evil.example/z.png) https://evil.example www.evil.example",
    "code": "``` `x` ~~~",
    "entity": "&lt;b&gt; &amp;",
    "mathematics": "$\\frac{1}{0}$ *a* _b_ # c",
    "mention": "@everyone",
    "nul": "a\x00b\x1b[31m",
    "surrogate": "half \ud800 of it",
    "turned": "abc\u202edef\u2066",
    "Arabic": "رياضة",
    "Thai": "กีฬา",
    "emoji": "🐕‍🦺",
    "yaml": "no: {a: [1, *x]} # c",
    "blank": " ",
    "next line": "a\x85b\u2028c\ufeffd",
    "long": "x" * 5_000,
}


def rows_of(task, num_rows=120, seed=0):
    random = np.random.default_rng(seed)
    if task.kind == "regression":
        targets = random.normal(size=num_rows)
        return targets, targets + random.normal(size=num_rows)
    if task.kind == "multilabel":
        shape = (num_rows, len(task.labels))
        return random.integers(0, 2, shape).astype(np.float32), random.random(shape).astype(np.float32)
    return random.integers(0, len(task.labels), num_rows), random.dirichlet(
        np.ones(len(task.labels)), num_rows
    )


def evaluation_of(task, groups=None, group_by="language", num_rows=120, with_intervals=False):
    targets, scores = rows_of(task, num_rows)
    cheap = compute_metrics(task, targets=targets, scores=scores)
    return evaluate(
        task,
        targets=targets,
        scores=scores,
        group_by=None if groups is None else group_by,
        groups=None if groups is None else [groups[i % len(groups)] for i in range(num_rows)],
        skipped_in_training={"missing value": 2},
        baseline=BaselineResult(
            metrics=cheap, seconds=0.1, num_train_rows=5, num_available_rows=5, description="TF-IDF | <b>"
        ),
        with_intervals=with_intervals,
    )


TRAINED = TrainingRows(
    num_rows=1_000,
    num_held_out=120,
    label_counts={"arts": 500, "sport": 300, "work": 200},
    tokens=TokenStatistics(
        num_rows=1_000,
        num_truncated=20,
        truncated_share=0.02,
        num_in_windows=0,
        unknown_share=0.001,
        median_tokens=17.0,
        p95_tokens=40.0,
        max_tokens=200,
    ),
    table="reviews.csv",
)


@pytest.fixture
def topics(tiny_encoder):
    return tiny_model(tiny_encoder("cased"), TOPICS)


def metadata(card):
    head = re.match(r"---\n(.*?)\n---\n", card, flags=re.DOTALL)
    return yaml.safe_load(head[1])


def checked(card, tmp_path):
    """The card, after the hub's own library has read it."""
    found = ModelCard(card)
    path = tmp_path / "README.md"
    path.write_text(card, encoding="utf-8")
    assert metadata_load(path) == metadata(card)
    return found


def test_a_card_with_every_fact(topics, tmp_path):
    facts = CardFacts(
        model=replace(topics, encoder_origin=EncoderOrigin(name="mini", licence="MIT"), origin="mini"),
        rows=TRAINED,
        settings={"epochs": 4, "learning_rate": 1e-4, "class_weight": None, "seed": 0},
        evaluation=evaluation_of(TOPICS, ["deu_Latn", "swh_Latn", "eng_Latn"], with_intervals=True),
    )
    card = model_card(facts)
    head = metadata(card)
    assert head["language"] == ["deu", "eng", "swh"] and head["license"] == "mit"
    assert head["library_name"] == "bertblocks" and head["pipeline_tag"] == "text-classification"
    assert head["base_model"] == "intfloat/multilingual-e5-small" and "bert" in head["tags"]
    (result,) = head["model-index"][0]["results"]
    assert {m["name"]: m["value"] for m in result["metrics"]}["accuracy"] == pytest.approx(
        facts.evaluation.overall["accuracy"], abs=1e-6
    )
    (accuracy,) = [r for r in checked(card, tmp_path).data.eval_results if r.metric_name == "accuracy"]
    assert accuracy.dataset_name == "reviews.csv, held out of training"
    for sentence in (
        "# Classification: target",
        "one of 3 labels, each with a probability",
        "| arts | 500 |",
        "On 120 rows held out of training.",
        "By these very rows the best epoch was chosen and probabilities were calibrated: the figures may be",
        "Languages are what the column *language* says.",
        "Trained on 1,000 rows of reviews.csv.",
        "Held out: 120 other rows of the same table.",
        "2 rows were left out: missing value.",
        "| learning rate | 0.0001 |",
        "are under MIT.",
        "Copyright (c) Microsoft Corporation",
        "probabilities = (logits / 1.25).softmax(-1)",
        "TF-IDF \\| &lt;b&gt;",
    ):
        assert sentence in card, sentence
    assert "class weight" not in card


def test_what_is_unknown_is_said_and_left_out_of_the_head(topics, tmp_path):
    card = model_card(CardFacts(model=replace(topics, encoder_origin=None)))
    assert set(metadata(card)) == {"library_name", "pipeline_tag", "tags"}
    checked(card, tmp_path)
    for sentence in (
        "Not known: the model was not evaluated when it was saved.",
        "The languages of the texts are not known.",
        "Not known: nothing was kept of the rows that the model was trained on.",
        "How the model was trained is not known.",
        "is not known: nothing here states it.",
    ):
        assert sentence in card, sentence


def test_a_column_that_is_no_language_names_none(topics):
    evaluation = evaluation_of(TOPICS, ["en", "de"], group_by="shop")
    card = model_card(CardFacts(model=topics, evaluation=evaluation))
    assert "language" not in metadata(card)
    assert "The languages of the texts are not known. Rows held out by *shop*, the worst first:" in card


def test_language_codes():
    assert language_codes(["en", "zh-Hans", "swh_Latn", "no", "English", "(none)", "", "e", "<b>"]) == [
        *("en", "no", "swh", "zh")
    ]


@pytest.mark.parametrize("label", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_stay_words(tiny_encoder, tmp_path, label):
    task = Task(kind="classification", labels=(label, "other"))
    # No table has a column of half a character.
    name = label.replace("\ud800", "")
    model = tiny_model(tiny_encoder("cased"), task, text=f"text {name}", target=f"target {name}")
    origin = EncoderOrigin(name=f"/tmp/{label}", licence=label)
    facts = CardFacts(
        model=replace(model, origin=f"/tmp/{label}", encoder_origin=origin),
        rows=replace(TRAINED, table=label, validation_table=label, label_counts={label: 1, "other": 2}),
        settings={"metric": label},
        evaluation=evaluation_of(task, [label, "b"], group_by=f"language {label}"),
    )
    card = model_card(facts)
    data = checked(card, tmp_path).data.to_dict()
    assert set(data) <= {
        *("license", "library_name", "pipeline_tag", "tags", "metrics", "model-index", "base_model"),
    }
    assert data["library_name"] == "bertblocks"
    body = card.split("\n---\n", 1)[1]
    for wrong in ("https://", "www.evil", "@everyone"):
        assert wrong not in body, wrong
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e\u2066\ud800-\udfff]", card)
    tokens = [token for block in RENDERER.parse(body) for token in (block, *(block.children or ()))]
    kinds = {token.type for token in tokens}
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "hr"}, kinds
    # A row of a table has as many cells as its head, and the code is ours alone.
    rows, cells = [], 0
    for token in tokens:
        cells = 0 if token.type == "tr_open" else cells + (token.type in ("th_open", "td_open"))
        if token.type == "tr_close":
            rows.append(cells)
    assert len(rows) > 8 and 0 not in rows
    assert [token.info for token in tokens if token.type == "fence"] == ["sh", "python", "python"]
    headings = [block for block in RENDERER.parse(body) if block.type == "heading_open"]
    assert len(headings) == 10


def test_a_label_in_a_table_reads_as_it_was_written():
    for name in ("quotes", "pipes", "html", "link", "code", "entity", "mathematics", "mention", "yaml"):
        written = HOSTILE[name].replace("\n", "\\n")
        html = RENDERER.render("\n".join(table(["label", "n"], [[markdown(HOSTILE[name]), "1"]])))
        cell = re.search("<td>(.*?)</td>", html, flags=re.DOTALL)[1]
        assert unescape(cell) == written if len(written) <= LONGEST_NAME else cell, name


def test_a_label_of_another_script_is_shown_as_it_is():
    for name in ("Arabic", "Thai", "emoji"):
        assert markdown(HOSTILE[name]) == HOSTILE[name]
    assert markdown("a|b") == r"a\|b" and markdown("  ") == "(blank)"
    assert markdown("a\nb") == r"a\\nb" and markdown("<b>") == "&lt;b&gt;"
    assert len(markdown("x" * 1_000)) == LONGEST_NAME


def test_a_table_is_as_wide_as_its_head():
    assert table(["a", "b"], [["1", "2"]]) == ["| a | b |", "| --- | ---: |", "| 1 | 2 |", ""]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_head_reads_back(text):
    lines = front_matter({"text": text, "list": [text, 1, 0.5], "nested": [{"a": text, "b": [{"c": 1e-7}]}]})
    assert lines[0] == lines[-2] == "---" and "---" not in lines[1:-2]
    found = yaml.safe_load("\n".join(lines[1:-2]))
    readable = text if "\ud800" not in text else found["text"]
    assert found == {
        "text": readable,
        "list": [readable, 1, 0.5],
        "nested": [{"a": readable, "b": [{"c": 0.0}]}],
    }


def test_several_labels(tiny_encoder, tmp_path):
    model = tiny_model(tiny_encoder("cased"), TAGS)
    card = model_card(CardFacts(model=model, evaluation=evaluation_of(TAGS)))
    checked(card, tmp_path)
    assert "| given from |" in card and "thresholds were chosen" in card
    assert "probabilities = (logits / torch.tensor([2.0, 0.5])).sigmoid()" in card
    assert "given = probabilities >= torch.tensor([0.25, 0.5])" in card
    many = Task(
        kind="multilabel",
        labels=tuple(map(str, range(300))),
        thresholds=(0.5,) * 300,
        temperatures=(1.5,) * 300,
    )
    card = model_card(CardFacts(model=tiny_model(tiny_encoder("cased"), many)))
    assert 'torch.tensor(task["temperatures"])' in card and 'torch.tensor(task["thresholds"])' in card
    assert "... and 100 more, in bertblocks.json." in card


def test_numbers(tiny_encoder, tmp_path):
    task = Task(kind="regression", target_mean=3.5, target_scale=0.25)
    model = tiny_model(tiny_encoder("cased"), task)
    card = model_card(CardFacts(model=model, evaluation=evaluation_of(task, ["a", "b"], group_by="b")))
    checked(card, tmp_path)
    assert "number = logits * 0.25 + 3.5" in card and "predict_proba" not in card
    assert "a mean of 3.5000 and a standard deviation of 0.2500" in card
    assert metadata(card)["metrics"] == ["mae", "pearsonr", "r_squared", "rmse", "spearmanr"]


def test_pairs_and_other_pooling(tiny_encoder, tmp_path):
    model = tiny_model(tiny_encoder("cased"), TOPICS, text_pair="second", pooling="average")
    card = model_card(CardFacts(model=model))
    checked(card, tmp_path)
    assert "a pair of texts (of a table: the columns *text* and *second*)" in card
    assert 'model.predict([("a text", "another")])' in card
    assert "`AutoModel` opens the encoder alone" in card and "the average of the tokens' vectors" in card
    assert "AutoModelForSequenceClassification" not in card


def test_windows(tiny_encoder):
    model = tiny_model(tiny_encoder("cased"), TOPICS, windows="slide", sequence_length=16, stride=8)
    card = model_card(CardFacts(model=model))
    assert "read whole, in windows of 16 tokens" in card and "only bertblocks reads them in windows" in card


def test_random_weights_and_token_ids(tmp_path, tiny_encoder):
    encoder = BertEncoder(vocabulary_size=50, num_layers=1, num_heads=1, hidden_size=4, intermediate_size=4)
    end = [BertPooler(), Dense(3, activation="softmax"), Target("y")]
    task = replace(TOPICS, temperature=1.0)
    card = model_card(CardFacts(model=assemble(Graph([TokenIdsInput("ids"), encoder, *end]), task)))
    checked(card, tmp_path)
    assert "The weights began at random: no other model's licence applies" in card
    assert "Lists of token ids have no language." in card and "pipeline_tag" not in metadata(card)
    assert "probabilities = logits.softmax(-1)" in card and "AutoTokenizer" not in card
    tokenizer = BertTokenizer(vocabulary=str(tiny_encoder("cased")), sequence_length=64)
    encoder = replace(encoder, vocabulary_size=275)
    card = model_card(CardFacts(model=assemble(Graph([TextInput("x"), tokenizer, encoder, *end]), task)))
    assert "began as random weights" in card


@pytest.mark.parametrize(
    ("licence", "expected"), [("Apache-2.0", "apache-2.0"), ("MIT", "mit"), ("ask the owner", "other")]
)
def test_the_licence_in_the_hubs_spelling(topics, licence, expected):
    origin = EncoderOrigin(name="x/y", repository="x/y", revision="0" * 40, licence=licence)
    card = model_card(CardFacts(model=replace(topics, encoder_origin=origin)))
    head = metadata(card)
    assert (head["license"], head["base_model"]) == (expected, "x/y") and f"are under {licence}." in card


def test_few_rows_and_the_weakest_groups_are_limits(topics):
    evaluation = evaluation_of(TOPICS, ["a", "b", "c", "d"], num_rows=40)
    limits = model_card(CardFacts(model=topics, evaluation=evaluation)).split("## Limits")[1]
    assert "The scores are rough: they come from 40 rows." in limits
    worst = evaluation.worst_groups()[0]
    assert f"Weakest by *language*, in accuracy: {worst.name} (" in limits


def test_the_place_of_a_folder_is_nobodys_business(topics):
    for origin in ("/home/ann/secret/encoder", "C:\\Users\\ann\\encoder", "/home/ann/encoder/"):
        card = model_card(CardFacts(model=replace(topics, origin=origin, encoder_origin=None)))
        assert "ann" not in card and "began as encoder, a folder of which nothing else is known" in card


def test_equal_facts_are_equal_cards(topics):
    facts = CardFacts(model=topics, rows=TRAINED, settings={"a": 1}, evaluation=evaluation_of(TOPICS))
    assert model_card(facts) == model_card(facts)


class TestTheCodeInIt:
    def run(self, model, folder):
        """Run both pieces of Python; gives their names, and what the model says."""
        model.save(folder)
        ours, theirs = re.findall(r"```python\n(.*?)```", model_card(CardFacts(model=model)), flags=re.DOTALL)
        names: dict[str, object] = {}
        exec(ours.replace('"MODEL"', repr(str(folder))), names)
        exec(theirs.replace('"MODEL', f'"{folder}'), names)
        return names, Predictor(model, precision="float32", device="cpu", kernels="plain")

    @pytest.mark.parametrize("pair", [None, "second"])
    def test_of_classes(self, tiny_encoder, tmp_path, pair):
        model = tiny_model(tiny_encoder("cased"), TOPICS, text_pair=pair)
        names, predictor = self.run(model, tmp_path / "m")
        found = predictor.predict(["a text"], None if pair is None else ["another"])
        np.testing.assert_allclose(names["probabilities"], found.scores, atol=1e-5)

    def test_of_several_labels(self, tiny_encoder, tmp_path):
        names, predictor = self.run(tiny_model(tiny_encoder("cased"), TAGS), tmp_path / "m")
        found = predictor.predict(["a text"])
        np.testing.assert_allclose(names["probabilities"], found.scores, atol=1e-5)
        given = [label for label, on in zip(TAGS.labels, names["given"][0], strict=True) if on]
        assert [tuple(given)] == found.answers

    def test_of_many_labels(self, tiny_encoder, tmp_path):
        labels = tuple(f"l{index}" for index in range(30))
        values = tuple(0.5 + index / 20 for index in range(30))
        task = Task(
            kind="multilabel", labels=labels, temperatures=values, thresholds=tuple(x / 4 for x in values)
        )
        names, predictor = self.run(tiny_model(tiny_encoder("cased"), task), tmp_path / "m")
        np.testing.assert_allclose(names["probabilities"], predictor.predict(["a text"]).scores, atol=1e-5)

    def test_of_numbers(self, tiny_encoder, tmp_path):
        task = Task(kind="regression", target_mean=3.5, target_scale=0.25)
        names, predictor = self.run(tiny_model(tiny_encoder("cased"), task), tmp_path / "m")
        assert float(names["number"]) == pytest.approx(predictor.predict(["a text"]).scores[0], abs=1e-5)

    def test_of_token_ids(self, tmp_path):
        names, predictor = self.run(ids_model(), tmp_path / "m")
        found = predictor.predict([[1, 7, 4]]).scores
        np.testing.assert_allclose(names["probabilities"], found, atol=1e-5)
