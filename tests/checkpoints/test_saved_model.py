from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file

from bertblocks._version import __version__
from bertblocks.assembly import AssembledModel, assemble, load_model, run_packed
from bertblocks.blocks import (
    BertPooler,
    BertTokenizer,
    Dense,
    Dropout,
    GlobalAveragePooling1D,
    Graph,
    PretrainedBertEncoder,
    Target,
    Task,
    TextInput,
)
from bertblocks.checkpoints import MANIFEST, opens_as_sequence_classification, read_manifest, read_saved_model
from bertblocks.checkpoints.storage import Q4_METADATA, pack_q4, write_tensors
from bertblocks.errors import CheckpointError
from tiny import HIDDEN, TEXTS, Kind, tiny_encoder_folder, tiny_model

TOPICS = Task(kind="classification", labels=("arts", "Wörk", "it's"))
TASKS = {
    "classification": TOPICS,
    "binary": Task(kind="binary", labels=("no", "yes"), temperature=1.5),
    "multilabel": Task(kind="multilabel", labels=("x", "y", "z", "w"), thresholds=(0.1, 0.2, 0.3, 0.4)),
    "regression": Task(kind="regression", target_mean=3.0, target_scale=0.5),
}
KINDS: tuple[Kind, ...] = ("cased", "uncased", "unigram")
SECOND = ["never", "The story was great", "", "I would", "a b c d e f g", "it's not", "again " * 40]


def logits_of(model: AssembledModel, pairs: list[str] | None = None) -> torch.Tensor:
    return torch.from_numpy(run_packed(model.module.eval(), model.encode(TEXTS, pairs)))


@torch.no_grad()
def reference_outputs(model: Any, folder: Path, pairs: list[str] | None = None) -> list[Any]:
    """What a transformers model makes of each text alone, with the folder's own tokenizer."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    columns = [TEXTS] if pairs is None else [TEXTS, pairs]
    # as lists of one: transformers takes a second text that is "" and alone for none
    rows = ([[text] for text in row] for row in zip(*columns, strict=True))
    return [model(**tokenizer(*row, truncation=True, return_tensors="pt")) for row in rows]


def opened(kind: Any, folder: Path, **options: Any) -> tuple[Any, dict[str, Any]]:
    model, report = kind.from_pretrained(folder, output_loading_info=True, **options)
    return model.eval(), report


@pytest.mark.parametrize(
    ("kind", "task"),
    [("uncased", "classification"), ("unigram", "classification"), *(("cased", task) for task in TASKS)],
)
def test_transformers_gives_equal_logits_from_the_same_text(tiny_encoder, tmp_path, kind, task):
    model = tiny_model(tiny_encoder(kind), TASKS[task], target="stars")
    model.save(tmp_path / "m")
    theirs, report = opened(transformers.AutoModelForSequenceClassification, tmp_path / "m")
    assert {name: list(found) for name, found in report.items() if found} == {}
    assert type(theirs).__name__ == "BertForSequenceClassification"
    expected = torch.cat([output.logits for output in reference_outputs(theirs, tmp_path / "m")])
    torch.testing.assert_close(logits_of(model), expected, atol=1e-5, rtol=0)
    assert expected.std(dim=0).min() > 0.05, "texts must differ for this comparison to mean something"
    assert list(theirs.config.id2label.values()) == list(TASKS[task].labels or ["stars"])
    assert theirs.config.label2id == {label: i for i, label in theirs.config.id2label.items()}
    assert (
        theirs.config.problem_type
        == {
            "classification": "single_label_classification",
            "binary": "single_label_classification",
            "multilabel": "multi_label_classification",
            "regression": "regression",
        }[task]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_gives_equal_logits_of_pairs(tiny_encoder, tmp_path, kind):
    model = tiny_model(tiny_encoder(kind), TOPICS, text_pair="second")
    model.save(tmp_path / "m")
    theirs, _ = opened(transformers.AutoModelForSequenceClassification, tmp_path / "m")
    outputs = reference_outputs(theirs, tmp_path / "m", SECOND)
    expected = torch.cat([output.logits for output in outputs])
    torch.testing.assert_close(logits_of(model, SECOND), expected, atol=1e-5, rtol=0)


def test_transformers_pads_a_batch_to_the_same_logits(tiny_encoder, tmp_path):
    model = tiny_model(tiny_encoder("unigram"), TOPICS)
    model.save(tmp_path / "m")
    theirs, _ = opened(transformers.AutoModelForSequenceClassification, tmp_path / "m")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "m")
    assert theirs.config.pad_token_id == tokenizer.pad_token_id == 1
    with torch.no_grad():
        batch = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
        expected = theirs(**batch).logits
    torch.testing.assert_close(logits_of(model), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("kind", KINDS)
def test_automodel_opens_the_encoder_below_another_pooling(tiny_encoder, tmp_path, kind, pooling):
    model = tiny_model(tiny_encoder(kind), TOPICS, pooling=pooling)
    model.save(tmp_path / "m")
    theirs, report = opened(transformers.AutoModel, tmp_path / "m", add_pooling_layer=False)
    assert {name: list(found) for name, found in report.items() if found} == {}
    hidden = [output.last_hidden_state[0] for output in reference_outputs(theirs, tmp_path / "m")]
    reduce = {"average": lambda x: x.mean(0), "max": lambda x: x.amax(0)}[pooling]
    head = load_file(tmp_path / "m" / "head.safetensors")
    assert {name: tuple(tensor.shape) for name, tensor in head.items()} == {
        "1.weight": (3, HIDDEN),
        "1.bias": (3,),
    }
    pooled = torch.stack([reduce(states) for states in hidden])
    expected = pooled @ head["1.weight"].T + head["1.bias"]
    torch.testing.assert_close(logits_of(model), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_sentence_transformers_gives_equal_vectors(tiny_encoder, tmp_path, pooling):
    sentence_transformers = pytest.importorskip("sentence_transformers", reason="comes with MiniLM's package")
    model = tiny_model(tiny_encoder("uncased"), TOPICS, pooling=pooling)
    model.save(tmp_path / "m")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = sentence_transformers.SentenceTransformer(str(tmp_path / "m"), device="cpu")
    assert theirs.max_seq_length == 32
    expected = theirs.encode(TEXTS, convert_to_numpy=True)
    vectors = run_packed(model.module.pooled, model.encode(TEXTS))
    np.testing.assert_allclose(vectors, expected, atol=1e-5, rtol=0)


def graph_of(folder: Path, *head: Any, output: str = "cls") -> Graph:
    return Graph(
        [
            TextInput("text"),
            BertTokenizer(vocabulary=str(folder), sequence_length=16),
            PretrainedBertEncoder(weights=str(folder), output=output),
            *head,
            Dense(3, activation="softmax"),
            Target("target"),
        ]
    )


OTHER_HEADS = {
    "bare": [],
    "two dense": [BertPooler(), Dense(5, activation="relu")],
    "dense, then pooler": [Dense(5), BertPooler()],
    "dropout all over": [Dropout(0.2), BertPooler(), Dropout(0.3)],
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("pooling", ["cls", "average", "max"])
def test_loading_gives_exactly_what_was_saved(tiny_encoder, tmp_path, pooling, task):
    model = tiny_model(tiny_encoder("cased"), TASKS[task], pooling=pooling)
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert torch.equal(logits_of(loaded), logits_of(model))
    assert loaded.graph == model.graph and loaded.task == model.task and loaded.origin == model.origin
    assert loaded.tokenizer.sequence_length == 32 and loaded.tokenizer.casing == "cased"
    assert loaded.module.encoder.config == model.module.encoder.config


@pytest.mark.parametrize("head", OTHER_HEADS.values(), ids=OTHER_HEADS)
def test_loading_other_heads_gives_exactly_what_was_saved(tiny_encoder, tmp_path, head):
    graph = graph_of(tiny_encoder("cased"), *head)
    torch.manual_seed(0)
    model = assemble(graph, TOPICS)
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert torch.equal(logits_of(loaded), logits_of(model))
    assert opens_as_sequence_classification(graph) == (head is OTHER_HEADS["dropout all over"])
    assert (tmp_path / "m" / "head.safetensors").is_file() != opens_as_sequence_classification(graph)


def test_what_transformers_can_hold(tiny_encoder):
    folder = tiny_encoder("cased")
    assert opens_as_sequence_classification(graph_of(folder, BertPooler()))
    assert not opens_as_sequence_classification(graph_of(folder))
    assert not opens_as_sequence_classification(graph_of(folder, Dense(3, activation="tanh")))
    assert not opens_as_sequence_classification(graph_of(folder, BertPooler(), BertPooler()))
    average = graph_of(folder, GlobalAveragePooling1D(), BertPooler(), output="sequence")
    assert not opens_as_sequence_classification(average)


def test_an_encoder_stored_in_four_bits_is_saved_as_floats(tmp_path):
    folder = tiny_encoder_folder(tmp_path / "q4")
    tensors = load_file(folder / "model.safetensors")
    rng = np.random.default_rng(0)
    matrices = [name for name, tensor in tensors.items() if tensor.ndim == 2]
    stored = {name: tensor for name, tensor in tensors.items() if name not in matrices}
    for name in matrices:
        rows, columns = tensors[name].shape
        nibbles = rng.integers(0, 16, (rows, columns), dtype=np.uint8)
        scales = rng.uniform(0.01, 0.05, (rows, columns // 32)).astype(np.float16)
        stored |= pack_q4(name, nibbles, scales)
    write_tensors(folder / "model.safetensors", stored, metadata=Q4_METADATA)
    model = tiny_model(folder, TOPICS)
    model.save(tmp_path / "m")
    with safe_open(tmp_path / "m" / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float32}  # noqa: SIM118
    theirs, report = opened(transformers.AutoModelForSequenceClassification, tmp_path / "m")
    assert not report["missing_keys"] and not report["unexpected_keys"]
    expected = torch.cat([output.logits for output in reference_outputs(theirs, tmp_path / "m")])
    torch.testing.assert_close(logits_of(model), expected, atol=1e-5, rtol=0)


def test_a_model_that_began_as_minilm(minilm, tmp_path):
    model = tiny_model(minilm, TOPICS, pooling="average", sequence_length=24)
    model.save(tmp_path / "m")
    assert torch.equal(logits_of(load_model(tmp_path / "m")), logits_of(model))


def test_what_lies_in_the_folder(tiny_encoder, tmp_path):
    shared_files = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", MANIFEST}
    sentence = {"head.safetensors", "modules.json", "sentence_bert_config.json", "1_Pooling/config.json"}
    for kind, pooling, expected in (
        ("cased", "cls", {*shared_files, "vocab.txt"}),
        ("unigram", "average", shared_files | sentence),
    ):
        folder = tmp_path / kind
        tiny_model(tiny_encoder(kind), TOPICS, pooling=pooling).save(folder)
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert found == expected
        assert set(read_manifest(folder)["files"]) == expected - {MANIFEST}


def test_the_manifest_says_what_the_model_is(tiny_encoder, tmp_path):
    model = tiny_model(tiny_encoder("unigram"), TOPICS, pooling="max")
    model.save(tmp_path / "m")
    manifest = json.loads((tmp_path / "m" / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["format_version"] == 1
    assert manifest["casing"] is None and manifest["activation"] == "gelu"
    assert manifest["origin"] == str(tiny_encoder("unigram"))
    assert manifest["task"]["labels"] == ["arts", "Wörk", "it's"]
    assert [block["block"] for block in manifest["graph"]["blocks"]] == [
        "TextInput",
        "BertTokenizer",
        "PretrainedBertEncoder",
        "GlobalMaxPooling1D",
        "Dropout",
        "Dense",
        "Target",
    ]


def test_equal_models_are_equal_files(tiny_encoder, tmp_path):
    for name in ("a", "b"):
        tiny_model(tiny_encoder("cased"), TOPICS).save(tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


@pytest.fixture
def saved(tiny_encoder, tmp_path) -> Path:
    tiny_model(tiny_encoder("cased"), TOPICS, pooling="average").save(tmp_path / "m")
    return tmp_path / "m"


def edit_manifest(folder: Path, **changes: Any) -> None:
    path = folder / MANIFEST
    manifest = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    kept = {key: value for key, value in manifest.items() if value != "leave out"}
    path.write_text(json.dumps(kept), encoding="utf-8")


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_model(folder)
    assert folder.name in str(caught.value)
    return str(caught.value)


def test_changed_and_missing_files_are_named_together(saved):
    with (saved / "config.json").open("a", encoding="utf-8") as file:
        file.write(" ")
    (saved / "vocab.txt").unlink()
    weights = bytearray((saved / "head.safetensors").read_bytes())
    weights[-1] ^= 1
    (saved / "head.safetensors").write_bytes(weights)
    message = refusal(saved)
    assert "m has been changed: config.json is not the file that was saved" in message
    assert "head.safetensors is not the file that was saved" in message
    assert "vocab.txt is missing" in message
    assert "model.safetensors" not in message


@pytest.mark.parametrize("name", ["model.safetensors", "1_Pooling/config.json", "tokenizer.json"])
def test_each_file_is_watched(saved, name):
    (saved / name).unlink()
    assert f"{name} is missing" in refusal(saved)


def test_a_folder_without_manifest_is_unfinished(saved):
    (saved / MANIFEST).unlink()
    assert "has no bertblocks.json: it is not a bertblocks model, or its training has not" in refusal(saved)


def test_other_folders_are_no_models(tmp_path, tiny_encoder):
    (tmp_path / "junk" / "sub").mkdir(parents=True)
    (tmp_path / "junk" / "readme.txt").write_text("hello", encoding="utf-8")
    assert "has no bertblocks.json" in refusal(tmp_path / "junk")
    assert "has no bertblocks.json" in refusal(tiny_encoder("cased"))
    assert "nowhere does not exist; a model is a folder" in refusal(tmp_path / "nowhere")
    assert "readme.txt is a file; a model is a folder" in refusal(tmp_path / "junk" / "readme.txt")


@pytest.mark.parametrize(
    ("changes", "fragments"),
    [
        ({"comment": 1}, ["has the unknown keys ['comment']"]),
        ({"task": "leave out", "comment": 1}, ["unknown keys ['comment']", "lacks the keys ['task']"]),
        (
            {"format_version": 2, "quantization": "int4"},
            ["format version 2", "reads up to 1: update bertblocks"],
        ),
        ({"format_version": 0}, ["format version 0, which there never was"]),
        ({"format_version": "1"}, ["has format_version = '1', which is of the wrong type"]),
        ({"files": ["config.json"]}, ["has files = ['config.json'], which is of the wrong type"]),
        ({"origin": None, "casing": 3}, ["has origin = None", "has casing = 3"]),
        ({"graph": {}}, ["does not describe a model", "not the JSON form of a graph"]),
        ({"graph": {"blocks": []}}, ["does not describe a model", "A graph of no blocks"]),
        ({"task": {"kind": "ranking"}}, ["does not describe a model", "kind is 'ranking'"]),
        ({"task": {"kind": "binary", "labels": 3}}, ["does not describe a model", "labels is 3"]),
        ({"files": {"config.json": 3}}, ["config.json is not the file that was saved"]),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(saved, changes, fragments):
    edit_manifest(saved, **changes)
    message = refusal(saved)
    for fragment in fragments:
        assert fragment in message


NEW_TASK = {"kind": "classification", "labels": list(TOPICS.labels), "unit": "stars"}


def graph_with(saved: Path, **options: Any) -> dict[str, Any]:
    graph: dict[str, Any] = json.loads((saved / MANIFEST).read_text(encoding="utf-8"))["graph"]
    graph["blocks"][-2]["options"].update(options)
    return graph


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"comment": 1}, "has the unknown keys ['comment']"),
        ({"casing": "leave out"}, "lacks the keys ['casing']"),
        ({"task": NEW_TASK}, "unknown: ['unit']"),
        ({"graph": "new option"}, "Dense) has no option 'bias'"),
        ({"graph": {"blocks": [{"name": "A", "block": "A", "inputs": [], "options": {}}]}}, "kind 'A'"),
        ({"encoder_origin": {"name": "a", "mirror": "b"}}, "encoder_origin is {'name': 'a', 'mirror'"),
    ],
)
def test_what_only_a_newer_version_knows(saved, changes, problem):
    if changes.get("graph") == "new option":
        changes = {"graph": graph_with(saved, bias=False)}
    ours = refusal_of(saved, changes)
    assert problem in ours and "cannot be read: " in ours and "Save or copy the model again" in ours
    for version in ("9.0.0.dev1", "0.10", "1"):
        newer = refusal_of(saved, {"bertblocks_version": version, **changes})
        assert f"was written by bertblocks {version}, and this is {__version__}" in newer
        assert problem in newer and newer.endswith("Update bertblocks (pip install --upgrade bertblocks).")
    for version in (__version__, "0.0.9", "9" * 5000, "", "new"):
        assert "Update" not in refusal_of(saved, {"bertblocks_version": version, **changes})


def refusal_of(folder: Path, changes: dict[str, Any]) -> str:
    original = (folder / MANIFEST).read_bytes()
    edit_manifest(folder, **changes)
    message = refusal(folder)
    (folder / MANIFEST).write_bytes(original)
    return message


def test_what_a_newer_version_wrote_without_anything_new_is_read(saved):
    edit_manifest(saved, bertblocks_version="9.0")
    assert load_model(saved).task == TOPICS


def test_what_has_its_default_is_left_out(tiny_encoder, tmp_path):
    model = tiny_model(tiny_encoder("cased"), TASKS["binary"])
    dataclasses.replace(model, encoder_origin=None).save(tmp_path / "m")
    manifest = json.loads((tmp_path / "m" / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["task"] == {"kind": "binary", "labels": ["no", "yes"], "temperature": 1.5}
    assert manifest["graph"]["blocks"][1]["options"] == {
        "vocabulary": str(tiny_encoder("cased")),
        "sequence_length": 32,
    }
    assert "encoder_origin" not in manifest


@pytest.mark.parametrize(
    ("key", "stated", "found"), [("activation", "relu", "gelu"), ("casing", "uncased", "cased")]
)
def test_what_the_manifest_states_is_true_of_the_files(saved, key, stated, found):
    edit_manifest(saved, **{key: stated})
    assert f"says {key} '{stated}', but the folder's files have '{found}'" in refusal(saved)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\udcff"])
def test_a_manifest_that_is_no_json_object(saved, content):
    (saved / MANIFEST).write_bytes(content.encode("utf-8", "surrogateescape"))
    assert "bertblocks.json" in refusal(saved)


def test_a_head_of_another_graph_is_refused(saved, tiny_encoder):
    graph = json.loads((saved / MANIFEST).read_text(encoding="utf-8"))["graph"]
    graph["blocks"][-2]["options"]["units"] = 4
    edit_manifest(saved, graph=graph)
    assert "the head's tensors do not fit its graph" in refusal(saved)
    tiny_model(tiny_encoder("cased"), TOPICS).save(saved)
    edit_manifest(saved, graph=graph)
    assert "head.safetensors does not exist" in refusal(saved)


def test_a_classifier_where_the_graph_says_so(saved, tiny_encoder, tmp_path):
    tiny_model(tiny_encoder("cased"), TOPICS).save(tmp_path / "cls")
    graph = json.loads((tmp_path / "cls" / MANIFEST).read_text(encoding="utf-8"))["graph"]
    edit_manifest(saved, graph=graph)
    assert "'pooler.bias', 'pooler.weight'], but holds []" in refusal(saved)


def test_the_manifest_can_be_read_without_weights(saved):
    (saved / "model.safetensors").unlink()
    assert read_manifest(saved)["task"]["kind"] == "classification"
    with pytest.raises(CheckpointError, match=r"model\.safetensors is missing"):
        read_saved_model(saved)


def test_a_model_may_begin_as_a_saved_model(saved, tmp_path):
    again = tiny_model(saved, TASKS["binary"], pooling="average")
    first = load_model(saved)
    assert torch.equal(
        again.module.encoder.state_dict()["embeddings.word.weight"],
        first.module.encoder.state_dict()["embeddings.word.weight"],
    )
    again.save(tmp_path / "again")
    assert load_model(tmp_path / "again").origin == str(saved)


def roberta_padded_by(folder: Path, pad_token_id: int) -> None:
    """Make an encoder's folder one of RoBERTa's family, of this padding token in config.json alone."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    changes = {
        "model_type": "xlm-roberta",
        "architectures": ["XLMRobertaModel"],
        "pad_token_id": pad_token_id,
    }
    (folder / "config.json").write_text(json.dumps({**config, **changes}), encoding="utf-8")


@pytest.mark.parametrize("pooling", ["cls", "average"])
def test_a_tokenizer_that_pads_with_another_id_than_positions_begin_at(tmp_path, pooling):
    # The tokenizer's <pad> is 1. Logits must be equal alone and in a padded batch of transformers'.
    folder = tiny_encoder_folder(tmp_path / "encoder", "unigram")
    roberta_padded_by(folder, 3)
    model = tiny_model(folder, TOPICS, pooling=pooling)
    model.save(tmp_path / "m")
    assert torch.equal(logits_of(load_model(tmp_path / "m")), logits_of(model))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "m")
    batch = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
    assert tokenizer.pad_token_id == 1 and 3 not in batch["input_ids"]
    if pooling == "cls":
        theirs, _ = opened(transformers.AutoModelForSequenceClassification, tmp_path / "m")
        assert theirs.config.pad_token_id == 3
        with torch.no_grad():
            torch.testing.assert_close(logits_of(model), theirs(**batch).logits, atol=1e-5, rtol=0)
