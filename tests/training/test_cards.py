"""The cards that training and estimators write."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from huggingface_hub import ModelCard

from bertblocks import load
from bertblocks.assembly import load_model
from bertblocks.checkpoints import encoder_origin
from bertblocks.estimators import TextClassifier, TextRegressor
from bertblocks.training import TableRun, TrainingSettings, train_table
from tiny_tables import CLUES, class_texts, label_lists, numbers, write_csv

HOSTILE = 'a|b "c" <script>x</script>'


@pytest.fixture
def trained(tiny_encoder, tmp_path):
    def train(columns, **changed):
        table = write_csv(tmp_path / "my table.csv", columns)
        options = {"text": "text", "target": "label", "encoder": str(tiny_encoder("cased")), **changed}
        run = TableRun(
            table=str(table),
            output=str(tmp_path / "model"),
            training=TrainingSettings(precision="float32", device="cpu", epochs=1),
            **options,
        )
        return train_table(run)

    return train


def head_of(folder):
    card = (folder / "README.md").read_text(encoding="utf-8")
    ModelCard(card)
    return yaml.safe_load(re.match(r"---\n(.*?)\n---\n", card, flags=re.DOTALL)[1]), card


def test_a_run_writes_a_card(trained, tmp_path):
    texts, labels = class_texts(90, tuple(CLUES))
    finished = trained(
        {"text": texts, "label": labels, "language": ["de", "sw", "zh"] * 30}, group_by="language"
    )
    head, card = head_of(tmp_path / "model")
    assert head["language"] == ["de", "sw", "zh"] and "license" not in head
    (result,) = head["model-index"][0]["results"]
    named = {metric["name"]: metric["value"] for metric in result["metrics"]}
    assert named["accuracy"] == pytest.approx(finished.evaluation.overall["accuracy"], abs=1e-6)
    assert result["dataset"]["name"] == "my table.csv, held out of training"
    assert "Trained on 81 rows of my table.csv." in card and "Held out: 9 other rows" in card
    assert "| metric | this model | 95 % interval | without BERT |" in card
    assert str(tmp_path) not in card


def test_a_table_for_validation_is_named(trained, tmp_path):
    texts, labels = class_texts(12, tuple(CLUES), seed=5)
    other = write_csv(tmp_path / "dev.csv", {"text": texts, "label": labels})
    texts, labels = class_texts(60, tuple(CLUES))
    trained({"text": texts, "label": labels}, validation=str(other), baseline=False)
    head, card = head_of(tmp_path / "model")
    assert "Held out: 12 rows of dev.csv." in card
    assert head["model-index"][0]["results"][0]["dataset"]["name"].startswith("dev.csv")


def test_hostile_columns_and_labels(trained, tmp_path):
    texts, labels = class_texts(60)
    names = {"good": HOSTILE, "bad": "b\nc"}
    columns = {
        f"text {HOSTILE}": texts,
        f"label {HOSTILE}": [names[label] for label in labels],
        f"group {HOSTILE}": ["x <b>", "y | z"] * 30,
    }
    text, target, group = columns
    trained(columns, text=text, target=target, group_by=group, baseline=False)
    _, card = head_of(tmp_path / "model")
    assert "<script" not in card.split("\n---\n")[1] and "&lt;script&gt;" in card
    load_model(tmp_path / "model")


def test_several_labels_and_numbers(trained, tmp_path):
    texts, lists = label_lists(80)
    trained({"text": texts, "label": ["|".join(row) for row in lists]}, label_separator="|", baseline=False)
    _, card = head_of(tmp_path / "model")
    assert "| CAT | 36 |" in card


def test_the_card_may_be_edited(trained, tmp_path):
    texts, labels = class_texts(60)
    trained({"text": texts, "label": labels}, baseline=False)
    path = tmp_path / "model" / "README.md"
    path.write_text("---\nlicense: mit\n---\nmine\n", encoding="utf-8")
    load_model(tmp_path / "model")
    manifest = json.loads((tmp_path / "model" / "bertblocks.json").read_text(encoding="utf-8"))
    assert "README.md" not in manifest["files"]
    assert encoder_origin(str(tmp_path / "model"), tmp_path / "model").licence == "mit"


def test_an_estimator_tells_what_it_knows(tiny_encoder, tmp_path):
    texts, labels = class_texts(60)
    model = TextClassifier(encoder=tiny_encoder("cased"), epochs=1, precision="float32").fit(texts, labels)
    model.save(tmp_path / "m")
    _, card = head_of(tmp_path / "m")
    assert "Trained on 54 rows." in card and "Held out: 6 other rows of the same table." not in card
    assert "Held out: 6 rows." in card
    assert "| epochs | 1 |" in card and "Not known: the model was not evaluated when it was saved." in card
    load(tmp_path / "m").save(tmp_path / "again")
    _, card = head_of(tmp_path / "again")
    assert "How the model was trained is not known." in card
    model.save(tmp_path / "m")
    model.fit(texts[:10], labels[:10]).save(tmp_path / "m")
    assert "Trained on 10 rows." in head_of(tmp_path / "m")[1]
    assert "No rows were held out." in head_of(tmp_path / "m")[1]


def test_a_regressor_too(tiny_encoder, tmp_path):
    texts, values = numbers(30)
    model = TextRegressor(encoder=tiny_encoder("cased"), epochs=1, precision="float32").fit(texts, values)
    model.save(tmp_path / "m")
    assert "number = logits *" in head_of(tmp_path / "m")[1] or "`AutoModel`" in head_of(tmp_path / "m")[1]
