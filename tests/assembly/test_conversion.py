"""Converted folders open in the class of transformers that their heads belong to; nothing else goes along."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from bertblocks.assembly.conversion import convert
from bertblocks.checkpoints import encoder_defaults
from bertblocks.errors import CheckpointError
from tiny import HIDDEN

IDS = torch.tensor([[2, 7, 9, 3], [2, 5, 3, 0]])


@pytest.fixture
def source(tiny_encoder, tmp_path):
    return shutil.copytree(tiny_encoder("cased"), tmp_path / "source")


def add_heads(folder, heads, **config):
    """Put an encoder's tensors below "bert." and heads of these shapes beside them."""
    path = folder / "model.safetensors"
    generator = torch.Generator().manual_seed(1)
    tensors = {f"bert.{name}": tensor for name, tensor in load_file(path).items()}
    made = {name: torch.randn(shape, generator=generator) for name, shape in heads.items()}
    save_file(tensors | made, path, {"format": "pt"})
    stated = json.loads((folder / "config.json").read_text())
    del stated["architectures"]
    (folder / "config.json").write_text(json.dumps({**stated, **config}))


def dense(name, num_outputs):
    return {f"{name}.weight": (num_outputs, HIDDEN), f"{name}.bias": (num_outputs,)}


PREDICTIONS = {
    **dense("cls.predictions.transform.dense", HIDDEN),
    "cls.predictions.transform.LayerNorm.weight": (HIDDEN,),
    "cls.predictions.transform.LayerNorm.bias": (HIDDEN,),
}
NEXT = dense("cls.seq_relationship", 2)
CLASSIFIER = dense("classifier", 3)


def outputs(name, folder, **options):
    model, loaded = getattr(transformers, name).from_pretrained(folder, output_loading_info=True, **options)
    with torch.no_grad():
        return model.eval()(IDS)[0], loaded["unexpected_keys"]


@pytest.mark.parametrize(
    ("heads", "stated", "name"),
    [
        (CLASSIFIER, [], "BertForSequenceClassification"),
        (dense("classifier", 1), [], "BertForSequenceClassification"),
        (CLASSIFIER, ["BertForTokenClassification"], "BertForTokenClassification"),
        (CLASSIFIER, ["BertForMaskedLM"], "BertForSequenceClassification"),
        (PREDICTIONS, [], "BertForMaskedLM"),
        (NEXT, [], "BertForNextSentencePrediction"),
        (PREDICTIONS | NEXT, [], "BertForPreTraining"),
        (dense("qa_outputs", 2), [], "BertForQuestionAnswering"),
    ],
)
def test_kept_heads_open_in_their_own_class(source, tmp_path, heads, stated, name):
    add_heads(source, heads, architectures=stated)
    done = convert(source, tmp_path / "out", keep_heads=True)
    assert done.head_class == name and set(done.checkpoint.head) == set(heads)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["architectures"] == [name]
    options = {"num_labels": heads["classifier.bias"][0]} if "classifier.bias" in heads else {}
    expected, _ = outputs(name, source, **options)
    found, unexpected = outputs(name, tmp_path / "out")
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert not unexpected


def test_without_a_pooler_a_classifier_is_one_of_tokens(source, tmp_path):
    tensors = load_file(source / "model.safetensors")
    bare = {name: tensor for name, tensor in tensors.items() if not name.startswith("pooler")}
    save_file(bare, source / "model.safetensors", {"format": "pt"})
    add_heads(source, CLASSIFIER)
    assert convert(source, tmp_path / "out", keep_heads=True).head_class == "BertForTokenClassification"


def test_a_classifier_opens_with_the_labels_that_it_came_with(source, tmp_path):
    names = {"id2label": {"0": "no", "1": "ja", "2": "はい"}, "label2id": {"no": 0, "ja": 1, "はい": 2}}
    add_heads(source, CLASSIFIER, **names, problem_type="multi_label_classification")
    convert(source, tmp_path / "out", keep_heads=True)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert type(model).__name__ == "BertForSequenceClassification"
    assert model.config.label2id == names["label2id"]
    assert model.config.problem_type == "multi_label_classification"


def test_labels_of_another_number_are_not_believed(source, tmp_path):
    add_heads(source, CLASSIFIER, id2label={"0": "no", "1": "yes"})
    convert(source, tmp_path / "out", keep_heads=True)
    written = json.loads((tmp_path / "out" / "config.json").read_text())
    assert written["label2id"] == {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}


def test_what_the_class_has_no_place_for_is_left_out_and_listed(source, tmp_path):
    add_heads(source, CLASSIFIER | {"projection.weight": (2, 2)})
    done = convert(source, tmp_path / "out", keep_heads=True)
    assert done.checkpoint.dropped == ("projection.weight",)
    assert "projection.weight" not in load_file(tmp_path / "out" / "model.safetensors")


def test_a_head_of_another_family_is_left_out_and_listed(source, tmp_path):
    add_heads(source, dense("lm_head.dense", HIDDEN))
    done = convert(source, tmp_path / "out", keep_heads=True)
    assert done.head_class is None
    assert sorted(done.checkpoint.dropped) == ["lm_head.dense.bias", "lm_head.dense.weight"]


def test_a_pooler_that_the_class_does_not_read_is_left_out_and_listed(source, tmp_path):
    add_heads(source, dense("qa_outputs", 2))
    done = convert(source, tmp_path / "out", keep_heads=True)
    assert sorted(done.checkpoint.dropped) == ["pooler.dense.bias", "pooler.dense.weight"]


def test_heads_of_no_class_are_all_left_out(source, tmp_path):
    add_heads(source, {"projection.weight": (2, 2)})
    done = convert(source, tmp_path / "out", keep_heads=True)
    assert done.head_class is None and done.checkpoint.dropped == ("projection.weight",)
    assert "embeddings.LayerNorm.weight" in load_file(tmp_path / "out" / "model.safetensors")


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        (PREDICTIONS | CLASSIFIER, r"heads of several models \(classifier\.\*, cls\.predictions\.\*\)"),
        ({"classifier.weight": (3, HIDDEN)}, r"are \(3, 32\) and None, expected \(labels, 32\)"),
        ({"classifier.weight": (3, 7), "classifier.bias": (3,)}, r"are \(3, 7\) and \(3,\)"),
        ({"classifier.weight": (), "classifier.bias": ()}, r"are \(\) and \(\), expected"),
    ],
)
def test_heads_of_which_nothing_can_be_made(source, tmp_path, heads, message):
    add_heads(source, heads)
    with pytest.raises(CheckpointError, match=message):
        convert(source, tmp_path / "out", keep_heads=True)
    assert not (tmp_path / "out").exists()
    convert(source, tmp_path / "out")


def state_pooling(folder, **content):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(content))


def test_the_pooling_goes_along_and_nothing_beside_it(source, tmp_path):
    state_pooling(source / "1_Pooling", pooling_mode="mean", odd="x")
    (source / "1_Pooling" / "notes.txt").symlink_to("/etc/passwd")
    convert(source, tmp_path / "out")
    assert encoder_defaults(tmp_path / "out").pooling == "average"
    assert [path.name for path in (tmp_path / "out" / "1_Pooling").iterdir()] == ["config.json"]
    assert "odd" not in (tmp_path / "out" / "1_Pooling" / "config.json").read_text()


def test_a_pooling_that_is_not_built_here_is_not_written_as_another(source, tmp_path, caplog):
    state_pooling(source / "1_Pooling", pooling_mode="lasttoken")
    convert(source, tmp_path / "out")
    assert not (tmp_path / "out" / "1_Pooling").exists()
    assert caplog.text.count("lasttoken") == 1


@pytest.mark.parametrize("name", ["1_Pooling/config.json", "1_Pooling"])
def test_a_pooling_outside_the_folder(source, tmp_path, name):
    state_pooling(tmp_path / "outside", pooling_mode="mean")
    (source / name).parent.mkdir(exist_ok=True)
    (source / name).symlink_to(tmp_path / name.replace("1_Pooling", "outside"))
    with pytest.raises(CheckpointError, match="symbolic link out of its folder"):
        convert(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
