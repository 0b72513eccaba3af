"""Long texts in windows, the same in the module, in training, in prediction and in the saved model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import bertblocks.assembly.model as model_module
from bertblocks.assembly import load_model, pack, run_packed
from bertblocks.blocks import BertTokenizer, Graph, Task, TextInput
from bertblocks.checkpoints import opens_as_sequence_classification
from bertblocks.encoder import PackedTokens, combine_windows
from bertblocks.errors import GraphError, ShapeError
from bertblocks.inference import Predictor
from bertblocks.training import LabeledTexts, TrainingSettings, train_model
from tiny import WORDS, tiny_model

TASK = Task(kind="binary", labels=("no", "yes"))
LONG = " ".join(WORDS[number % len(WORDS)] for number in range(200))
TEXTS = ["a good film", LONG, "awful", LONG[:300], ""]


@pytest.fixture(params=["cls", "average", "max"])
def pooling(request):
    return request.param


@pytest.fixture(params=["average", "max"])
def model(request, pooling, tiny_encoder):
    return tiny_model(
        tiny_encoder("cased"), TASK, pooling=pooling, windows="slide", window_pooling=request.param
    )


@torch.no_grad()
def test_a_text_is_the_average_or_maximum_of_its_windows(model):
    encoded = model.encode(TEXTS)
    found = model.module.pooled(pack(encoded, np.arange(len(TEXTS))))
    for row, lengths in enumerate(encoded.windows):
        windows = np.split(encoded.ids[row], np.cumsum(lengths)[:-1])
        alone = torch.cat([model.module.pooled(PackedTokens.pack([window])) for window in windows])
        average = model.module.window_pooling == "average"
        expected = alone.mean(0) if average else alone.amax(0)
        torch.testing.assert_close(found[row], expected, atol=1e-5, rtol=0)


def test_neighbours_and_batches_do_not_matter(model):
    encoded = model.encode(TEXTS)
    together = run_packed(model.module, encoded)
    for row, text in enumerate(TEXTS):
        alone = run_packed(model.module, model.encode([text]), batch_tokens=1)
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


def test_short_texts_are_as_without_windows(tiny_encoder):
    plain = tiny_model(tiny_encoder("cased"), TASK, pooling="average")
    sliding = tiny_model(tiny_encoder("cased"), TASK, pooling="average", windows="slide")
    texts = ["a good film", "awful", ""]
    expected = run_packed(plain.module, plain.encode(texts))
    assert np.array_equal(run_packed(sliding.module, sliding.encode(texts)), expected)


def test_the_saved_model_reads_the_same_windows(model, tmp_path):
    before = Predictor(model, precision="float32").predict(TEXTS)
    assert not before.truncated.any() and before.num_tokens[1] > 200
    model.save(tmp_path / "saved")
    loaded = load_model(tmp_path / "saved")
    after = Predictor(loaded, precision="float32").predict(TEXTS)
    assert np.array_equal(before.scores, after.scores)
    assert loaded.graph == model.graph
    assert not opens_as_sequence_classification(loaded.graph)


def test_a_text_of_any_length_in_bounded_memory(model, monkeypatch):
    encoded = model.encode([LONG])
    whole = run_packed(model.module, encoded)
    monkeypatch.setattr(model_module, "_WINDOW_TOKENS", 64)
    np.testing.assert_allclose(run_packed(model.module, encoded), whole, atol=1e-5)


def test_gradients_in_groups_are_those_of_the_whole(model, monkeypatch):
    packed = pack(model.encode([LONG, "good"]), np.arange(2))

    def gradients() -> list[torch.Tensor]:
        model.module.zero_grad()
        model.module(packed).square().sum().backward()
        return [weight.grad.clone() for weight in model.module.parameters() if weight.grad is not None]

    whole = gradients()
    monkeypatch.setattr(model_module, "_WINDOW_TOKENS", 64)
    for expected, found in zip(whole, gradients(), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_windows_that_are_not_those_of_the_sequences():
    ids = [np.array([1, 2, 3])] * 3
    for windows in ([1, 1], [3, 0], [4]):
        with pytest.raises(ShapeError, match="windows"):
            PackedTokens.pack(ids, windows=windows)
    vectors = torch.tensor([[1.0, 2.0], [3.0, 0.0], [5.0, 5.0]])
    assert combine_windows(vectors, [2, 1], "average").tolist() == [[2.0, 1.0], [5.0, 5.0]]
    assert combine_windows(vectors, [2, 1], "max").tolist() == [[3.0, 2.0], [5.0, 5.0]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 5}, 'has stride, without effect while texts are cut: set windows="slide"'),
        ({"window_pooling": "max"}, "has window_pooling, without effect"),
        ({"windows": "slide", "stride": 511}, "a stride lies between 1 and 510"),
        ({"windows": "slide", "stride": 0}, "a stride lies between 1 and 510"),
        ({"windows": "slide", "stride": "half"}, "stride is 'half', but must be an int or None"),
        ({"windows": "overlap"}, "must be one of 'truncate', 'slide'"),
    ],
)
def test_options_that_cannot_take_effect(options, message, tiny_encoder):
    blocks = list(tiny_model(tiny_encoder("cased"), TASK).graph.blocks)
    blocks[1] = BertTokenizer(vocabulary=blocks[1].vocabulary, **options)
    with pytest.raises(GraphError, match=message):
        Graph(blocks)


def test_pairs_cannot_slide(tiny_encoder):
    blocks = list(tiny_model(tiny_encoder("cased"), TASK).graph.blocks)
    blocks[1] = BertTokenizer(vocabulary=blocks[1].vocabulary, windows="slide")
    with pytest.raises(GraphError, match='windows="slide" for a pair of texts'):
        Graph([TextInput("second"), *blocks])


@pytest.mark.parametrize("windows", ["truncate", "slide"])
def test_evidence_behind_the_512th_token_is_found_by_windows_alone(tiny_encoder, tmp_path, windows):
    rng = np.random.default_rng(0)
    filler = [word for word in WORDS if word not in ("cat", "dog")]
    labels = rng.integers(0, 2, 90)
    texts = [" ".join([*rng.choice(filler, 520), *(["cat", "dog"][label],) * 60]) for label in labels]
    model = tiny_model(
        tiny_encoder("cased"),
        TASK,
        pooling="average",
        sequence_length=128,
        windows=windows,
        trainable=False,
    )
    rows = LabeledTexts(texts=texts, targets=labels)
    train, test = rows.take(np.arange(60)), rows.take(np.arange(60, 90))
    settings = TrainingSettings(epochs=60, precision="float32")
    trained = train_model(model.graph, TASK, train, None, settings).model
    found = Predictor(trained, precision="float32").predict(test.texts).scores.argmax(axis=1)
    accuracy = float((found == test.targets).mean())
    assert (accuracy > 0.9) if windows == "slide" else (accuracy < 0.75)
