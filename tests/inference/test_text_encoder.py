from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
import transformers

from bertblocks.assembly import load_encoder_module
from bertblocks.blocks import Task
from bertblocks.checkpoints import read_checkpoint
from bertblocks.encoder import BertEncoder
from bertblocks.errors import CheckpointError, ConfigError, DataError, GraphError
from bertblocks.inference import TextEncoder, load_encoder
from bertblocks.text import load_tokenizer
from tiny import HIDDEN, TEXTS, Kind, tiny_encoder_folder, tiny_model

POOLINGS = {"cls": lambda x: x[0], "average": lambda x: x.mean(0), "max": lambda x: x.amax(0)}


@pytest.fixture(params=["cased", "unigram"])
def kind(request) -> Kind:
    return request.param


@pytest.fixture
def encoder(tiny_encoder, kind) -> TextEncoder:
    return load_encoder(tiny_encoder(kind), precision="float32")


@torch.no_grad()
def reference_states(encoder: TextEncoder, folder, texts: list[str]) -> list[torch.Tensor]:
    model = transformers.AutoModel.from_pretrained(folder).eval()
    ids = encoder.tokenizer.encode(texts).ids
    return [model(torch.from_numpy(row.astype(np.int64))[None]).last_hidden_state[0] for row in ids]


def test_every_output_equals_transformers(encoder, tiny_encoder, kind):
    states = reference_states(encoder, tiny_encoder(kind), TEXTS)
    for output, reduce in POOLINGS.items():
        expected = torch.stack([reduce(state) for state in states]).numpy()
        found = encoder.encode(TEXTS, output=output, batch_tokens=40)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    sequences = encoder.encode(TEXTS, output="sequence", batch_tokens=40)
    assert [row.shape for row in sequences] == [tuple(state.shape) for state in states]
    for row, state in zip(sequences, states, strict=True):
        assert row.dtype == np.float32
        np.testing.assert_allclose(row, state.numpy(), atol=1e-5, rtol=0)


def test_no_texts(encoder):
    for output in POOLINGS:
        found = encoder.encode([], output=output)
        assert found.shape == (0, HIDDEN) and found.dtype == np.float32
    assert encoder.encode([], output="sequence") == []


def test_the_limit_is_the_position_tables(encoder):
    assert encoder.tokenizer.sequence_length == 128
    long = "a " * 500
    assert encoder.encode([long]).shape == (1, HIDDEN)
    assert len(encoder.encode([long], output="sequence")[0]) == 128
    assert len(encoder.encode([long], output="sequence", sequence_length=9)[0]) == 9
    for length in (129, 512):
        with pytest.raises(ConfigError, match="position table ends at 128: set sequence_length=128"):
            encoder.encode(["a"], sequence_length=length)
    with pytest.raises(ConfigError, match="sequence_length is 2"):
        encoder.encode(["a"], sequence_length=2)
    with pytest.raises(ConfigError, match="sequence_length is 0"):
        encoder.encode(["a"], sequence_length=0)


def test_what_cannot_be_is_refused(encoder):
    with pytest.raises(ConfigError, match="output is 'mean', but must be cls, average, max or sequence"):
        encoder.encode(["a"], output="mean")
    with pytest.raises(ConfigError, match="output is 'mean'"):
        encoder.encode([], output="mean")
    with pytest.raises(DataError, match="Wrap one text in a list"):
        encoder.encode("a")
    with pytest.raises(DataError, match="row 0 is 3"):
        encoder.encode([3])


@pytest.mark.parametrize("output", [*POOLINGS, "sequence"])
def test_equal_texts_are_computed_once_unless_all_should_be(encoder, monkeypatch, output):
    seen = []
    forward = BertEncoder.forward

    def counted(self, packed, *rest):
        seen.append(packed.num_sequences)
        return forward(self, packed, *rest)

    monkeypatch.setattr(BertEncoder, "forward", counted)
    texts = ["good film", "slow", "good film"]
    once = encoder.encode(texts, output=output)
    assert sum(seen) == 2
    every = encoder.encode(texts, output=output, deduplicate=False)
    assert sum(seen) == 5
    for found, expected in zip(once, every, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.array_equal(once[0], once[2]) and not np.shares_memory(once[0], once[2])


def test_tokenizer_and_encoder_must_fit(tiny_encoder):
    module = load_encoder_module(read_checkpoint(tiny_encoder("unigram")))
    tokenizer = load_tokenizer(tiny_encoder("cased"), sequence_length=200)
    with pytest.raises(GraphError) as caught:
        TextEncoder(module, tokenizer, precision="float32")
    assert "275 ids, the encoder only 140 rows" in str(caught.value)
    assert "set sequence_length=128" in str(caught.value)


def test_a_pickled_encoder_encodes_the_same(encoder):
    copy = pickle.loads(pickle.dumps(encoder))
    assert np.array_equal(copy.encode(TEXTS, output="max"), encoder.encode(TEXTS, output="max"))


def test_bfloat16_is_near(tiny_encoder, kind, encoder):
    half = load_encoder(tiny_encoder(kind), precision="bfloat16")
    for output in POOLINGS:
        full = encoder.encode(TEXTS, output=output)
        found = half.encode(TEXTS, output=output)
        assert found.dtype == np.float32 and not np.array_equal(found, full)
        np.testing.assert_allclose(found, full, atol=0.1)
    assert half.encode(TEXTS, output="sequence")[0].dtype == np.float32


def test_the_encoder_of_a_saved_model(tiny_encoder, tmp_path, encoder, kind):
    tiny_model(tiny_encoder(kind), Task(kind="binary", labels=("no", "yes"))).save(tmp_path / "m")
    again = load_encoder(tmp_path / "m", precision="float32")
    assert np.array_equal(again.encode(TEXTS), encoder.encode(TEXTS))


def test_folders_that_cannot_be_loaded(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        load_encoder(tmp_path / "nowhere")
    folder = tiny_encoder_folder(tmp_path / "mute")
    for name in ("vocab.txt", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(CheckpointError, match="no tokenizer in this folder"):
        load_encoder(folder)


def test_minilm_as_its_own_package_computes(minilm):
    sentence_transformers = pytest.importorskip("sentence_transformers", reason="comes with MiniLM's package")
    theirs = sentence_transformers.SentenceTransformer(str(minilm), device="cpu")
    texts = ["A cat sits on the mat.", "Ein Satz, der länger ist als der andere.", ""]
    expected = theirs.encode(texts, normalize_embeddings=False)
    vectors = load_encoder(minilm, precision="float32").encode(texts, output="average")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
