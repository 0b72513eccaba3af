from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from bertblocks.assembly import assemble, build, load_model, pack, run_packed
from bertblocks.blocks import (
    BertEncoder,
    BertPooler,
    BertTokenizer,
    Dense,
    Graph,
    PretrainedBertEncoder,
    Target,
    Task,
    TextInput,
    text_model,
)
from bertblocks.checkpoints import MANIFEST, is_saved_model
from bertblocks.errors import CheckpointError, ConfigError, GraphError, ShapeError
from tiny import TEXTS, tiny_encoder_folder, tiny_model

TOPICS = Task(kind="classification", labels=("a", "b", "c"))


def logits_of(model, texts=TEXTS, pairs=None):
    return run_packed(model.module.eval(), model.encode(texts, pairs), batch_tokens=64)


@pytest.fixture
def model(tiny_encoder):
    return tiny_model(tiny_encoder("cased"), TOPICS)


def files_of(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize(
    ("task", "problem"),
    [
        (
            Task(kind="classification", labels=("a", "b")),
            "Dense gives 3 numbers, but the task needs 2, one a label (a, b): set "
            'Dense(2, activation="softmax").',
        ),
        (
            Task(kind="multilabel", labels=("a", "b", "c")),
            "Target has task='classification', but what is to be predicted is a multilabel: set "
            "task='multilabel'.",
        ),
    ],
)
def test_a_task_that_the_graph_does_not_answer(tiny_encoder, task, problem):
    graph = text_model(task=TOPICS, encoder=str(tiny_encoder("cased")), sequence_length=32)
    with pytest.raises(GraphError) as caught:
        assemble(graph, task)
    assert str(caught.value) == f"The graph does not fit its task: {problem}"


def test_tokenizer_and_encoder_must_fit(tiny_encoder, tmp_path):
    small = tiny_encoder_folder(tmp_path / "small", "unigram", positions=16)
    graph = Graph(
        [
            TextInput("x"),
            BertTokenizer(vocabulary=str(tiny_encoder("cased")), sequence_length=17),
            PretrainedBertEncoder(weights=str(small)),
            Dense(3, activation="softmax"),
            Target("y"),
        ]
    )
    with pytest.raises(GraphError) as caught:
        assemble(graph, TOPICS)
    message = str(caught.value)
    assert "the tokenizer has 275 ids, the encoder only 140 rows" in message
    assert "the encoder's position table ends at 16: set sequence_length=16" in message
    fitting = BertTokenizer(vocabulary=str(small), sequence_length=16)
    graph = Graph([fitting if isinstance(block, BertTokenizer) else block for block in graph.blocks])
    assert assemble(graph, TOPICS).tokenizer.sequence_length == 16


def test_a_folder_that_is_called_like_a_name_is_written_as_a_path(tmp_path, monkeypatch):
    tiny_encoder_folder(tmp_path / "mini", "uncased")
    monkeypatch.chdir(tmp_path)
    for encoder, size in (("mini", 160_000), ("./mini", 183)):
        model = assemble(text_model(task=TOPICS, encoder=encoder, sequence_length=16), TOPICS)
        assert model.module.encoder.config.vocab_size == model.tokenizer.vocabulary_size == size


def test_a_new_encoder_on_a_known_vocabulary(tiny_encoder):
    encoder = BertEncoder(vocabulary_size=275, num_layers=1, num_heads=1, hidden_size=4, intermediate_size=4)
    tokenizer = BertTokenizer(vocabulary=str(tiny_encoder("cased")), sequence_length=64)
    graph = Graph(
        [TextInput("x"), tokenizer, encoder, BertPooler(), Dense(3, activation="softmax"), Target("y")]
    )
    model = assemble(graph, TOPICS)
    assert model.origin == "random weights" and logits_of(model).shape == (7, 3)


def test_a_frozen_encoder_is_frozen_after_loading(tiny_encoder, tmp_path):
    for trainable in (True, False):
        tiny_model(tiny_encoder("cased"), TOPICS, trainable=trainable).save(tmp_path / "m")
        module = load_model(tmp_path / "m").module
        assert not module.training
        assert {weight.requires_grad for weight in module.encoder.parameters()} == {trainable}
        assert all(weight.requires_grad for weight in module.head.parameters())


def test_saving_makes_missing_folders_and_leaves_nothing_beside(model, tmp_path):
    model.save(tmp_path / "a" / "b")
    assert is_saved_model(tmp_path / "a" / "b")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_saving_into_an_empty_folder(model, tmp_path):
    model.save(str(tmp_path))
    assert np.array_equal(logits_of(load_model(str(tmp_path))), logits_of(model))


def test_saving_over_a_model_replaces_it_whole(model, tmp_path, tiny_encoder):
    folder = tmp_path / "m"
    average = tiny_model(tiny_encoder("unigram"), TOPICS, pooling="average")
    average.save(folder)
    assert (folder / "head.safetensors").is_file() and (folder / "modules.json").is_file()
    model.save(folder)
    model.save(tmp_path / "fresh")
    assert files_of(folder) == files_of(tmp_path / "fresh")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "m"]


def test_saving_over_the_folder_that_it_was_loaded_from(model, tmp_path):
    model.save(tmp_path / "m")
    before = files_of(tmp_path / "m")
    load_model(tmp_path / "m").save(tmp_path / "m")
    assert files_of(tmp_path / "m") == before


@pytest.mark.parametrize("foreign", ["notes.txt", "sub/config.json", ".hidden"])
def test_a_foreign_folder_is_left_alone(model, tmp_path, foreign):
    folder = tmp_path / "mine"
    (folder / foreign).parent.mkdir(parents=True)
    (folder / foreign).write_text("precious", encoding="utf-8")
    with pytest.raises(
        CheckpointError, match="mine exists and is not a bertblocks model; nothing was written"
    ):
        model.save(folder)
    assert files_of(folder) == {foreign: b"precious"}
    assert list(tmp_path.iterdir()) == [folder]


def test_a_file_is_left_alone(model, tmp_path):
    (tmp_path / "m").write_text("precious", encoding="utf-8")
    with pytest.raises(CheckpointError, match="exists and is not a bertblocks model"):
        model.save(tmp_path / "m")
    assert (tmp_path / "m").read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize(
    "broken", ["bertblocks.assembly.assembled.write_saved_model", "bertblocks._files._swap_folders"]
)
def test_a_save_that_fails_leaves_the_old_model(model, tmp_path, tiny_encoder, monkeypatch, broken):
    folder = tmp_path / "m"
    tiny_model(tiny_encoder("uncased"), TOPICS).save(folder)
    before = files_of(folder)

    def fail(*_args, **_options):
        raise OSError("no space left")

    monkeypatch.setattr(broken, fail)
    with pytest.raises(OSError, match="no space left"):
        model.save(folder)
    assert files_of(folder) == before and list(tmp_path.iterdir()) == [folder]
    load_model(folder)


def test_a_save_that_was_killed_between_its_two_renames_is_mended_by_loading(model, tmp_path):
    folder = tmp_path / "m"
    model.save(folder)
    before = files_of(folder)
    folder.rename(tmp_path / ".m.replaced")
    assert np.array_equal(logits_of(load_model(folder)), logits_of(model))
    assert files_of(folder) == before and list(tmp_path.iterdir()) == [folder]


def test_extra_files_come_along(model, tmp_path):
    (tmp_path / "metrics.json").write_text("{}", encoding="utf-8")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "x.txt").write_text("log", encoding="utf-8")
    model.save(tmp_path / "m", extra_files=[tmp_path / "metrics.json", tmp_path / "logs"])
    assert (tmp_path / "m" / "metrics.json").read_text(encoding="utf-8") == "{}"
    (tmp_path / "m" / "logs" / "x.txt").write_text("more log", encoding="utf-8")
    load_model(tmp_path / "m")


def test_a_moved_model_needs_nothing_of_where_it_came_from(tmp_path):
    origin = tiny_encoder_folder(tmp_path / "origin")
    model = tiny_model(origin, TOPICS)
    expected = logits_of(model)
    model.save(tmp_path / "m")
    shutil.rmtree(origin)
    shutil.move(tmp_path / "m", tmp_path / "elsewhere")
    loaded = load_model(tmp_path / "elsewhere")
    assert loaded.origin == str(origin)
    assert np.array_equal(logits_of(loaded), expected)
    with pytest.raises(CheckpointError):
        build(loaded.graph)


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a privilege on Windows")
def test_saving_through_a_link_replaces_what_it_points_to(model, tmp_path):
    model.save(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    model.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / MANIFEST).is_file()


@pytest.mark.parametrize("pooling", ["cls", "average"])
def test_an_encoder_can_be_read_in_the_type_it_predicts_in(tiny_encoder, tmp_path, pooling):
    saved = tiny_model(tiny_encoder("cased"), TOPICS, pooling=pooling)
    saved.save(tmp_path / "m")
    full = load_model(tmp_path / "m").module
    half = load_model(tmp_path / "m", dtype=torch.bfloat16).module
    assert {weight.dtype for weight in full.parameters()} == {torch.float32}
    for name, weight in full.encoder.state_dict().items():
        # Our kernels add biases, and weigh norms, in float32.
        exact = weight.ndim == 1 and not name.startswith("embeddings.")
        expected = weight if exact else weight.to(torch.bfloat16)
        assert torch.equal(half.encoder.state_dict()[name], expected), name
    with pytest.raises(ConfigError, match="read in a lower precision"):
        load_model(tmp_path / "m", dtype=torch.bfloat16).save(tmp_path / "again")
    for name, weight in full.head.state_dict().items():
        assert torch.equal(half.head.state_dict()[name], weight), name


def test_nothing_is_drawn_to_be_replaced(model, tmp_path, monkeypatch):
    model.save(tmp_path / "m")
    before = torch.get_rng_state()
    loaded = load_model(tmp_path / "m")
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(weight.is_meta for weight in loaded.module.state_dict().values())
    assert all(weight.requires_grad for weight in loaded.module.parameters())


def test_packed_runs_keep_the_order_of_the_texts(model):
    encoded = model.encode(TEXTS)
    rows = run_packed(
        lambda packed: packed.input_ids_T[packed.cu_seqlens[1:] - 2][:, None], encoded, batch_tokens=16
    )
    assert rows[:, 0].tolist() == [float(ids[-2]) for ids in encoded.ids]
    assert rows.dtype == np.float32


def test_packed_runs_report_their_batches(model):
    encoded = model.encode(TEXTS)
    seen = []
    run_packed(
        model.module, encoded, batch_tokens=30, on_batch=lambda texts, tokens: seen.append((texts, tokens))
    )
    assert sum(texts for texts, _ in seen) == len(TEXTS)
    assert sum(tokens for _, tokens in seen) == sum(len(ids) for ids in encoded.ids)
    assert len(seen) > 1 and all(tokens <= 30 or texts == 1 for texts, tokens in seen)
    assert run_packed(model.module, model.encode([])).shape == (0, 0)


def test_pack_takes_the_order_of_the_indices(model):
    encoded = model.encode(TEXTS, TEXTS[::-1])
    packed = pack(encoded, np.array([3, 0]))
    assert packed.input_ids_T.tolist() == [*encoded.ids[3], *encoded.ids[0]]
    lengths, firsts = [len(encoded.ids[i]) for i in (3, 0)], [int(encoded.num_first[i]) for i in (3, 0)]
    assert packed.lengths == tuple(lengths)
    expected = (
        [0] * firsts[0] + [1] * (lengths[0] - firsts[0]) + [0] * firsts[1] + [1] * (lengths[1] - firsts[1])
    )
    assert packed.segment_ids_T.tolist() == expected


def test_ids_beyond_the_position_table_are_refused(model):
    encoded = model.tokenizer.with_sequence_length(200).encode(["a " * 300])
    with pytest.raises(ShapeError, match="200 tokens, but the position table ends at 128"):
        run_packed(model.module, encoded)


def test_training_mode_is_kept_out_of_saved_weights(model, tmp_path):
    model.module.train()
    model.save(tmp_path / "m")
    assert model.module.training
    for name, weight in load_model(tmp_path / "m").module.state_dict().items():
        assert torch.equal(weight, model.module.state_dict()[name]), name
