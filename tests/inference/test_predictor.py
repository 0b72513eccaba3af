from __future__ import annotations

import base64
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from bertblocks.assembly import load_model
from bertblocks.blocks import Task
from bertblocks.errors import CheckpointError, ConfigError, DataError
from bertblocks.inference import Predictor
from tiny import TEXTS, tiny_model

TOPICS = Task(kind="classification", labels=("a", "b", "c"))
MANY = [*TEXTS, *("word " * n + "end." for n in range(30)), "a", "I", "the story"]


@pytest.fixture(params=["cls", "average", "max"])
def predictor(request, tiny_encoder):
    model = tiny_model(tiny_encoder("cased"), TOPICS, pooling=request.param)
    return Predictor(model, precision="float32", batch_tokens=100)


def test_a_batch_equals_single_texts(predictor):
    batch = predictor.predict(MANY)
    single = [predictor.predict([text]) for text in MANY]
    np.testing.assert_allclose(batch.scores, np.concatenate([row.scores for row in single]), atol=1e-6)
    assert batch.num_tokens.tolist() == [row[0].num_tokens for row in single]
    assert batch.truncated.tolist() == [row[0].truncated for row in single]
    assert batch.scores.std(axis=0).max() > 0.01, "texts must differ for this comparison to mean something"


def test_the_order_does_not_matter(predictor):
    order = random.Random(0).sample(range(len(MANY)), len(MANY))
    found = predictor.predict([MANY[index] for index in order])
    np.testing.assert_allclose(found.scores, predictor.predict(MANY).scores[order], atol=1e-6)


def test_the_budget_does_not_matter(predictor):
    expected = predictor.predict(MANY).scores
    for batch_tokens in (1, 33, 100_000):
        other = Predictor(predictor.model, precision="float32", batch_tokens=batch_tokens)
        np.testing.assert_allclose(other.predict(MANY).scores, expected, atol=1e-6)


def test_the_same_call_gives_the_same_bits(predictor):
    assert np.array_equal(predictor.predict(MANY).scores, predictor.predict(MANY).scores)


def test_no_text_and_empty_texts(predictor):
    nothing = predictor.predict([])
    assert len(nothing) == 0 and nothing.scores.shape == (0, 3)
    assert nothing.answers == [] and list(nothing) == []
    empty = predictor.predict([""])[0]
    assert empty.num_tokens == 2 and sum(empty.probabilities.values()) == pytest.approx(1)


def test_identical_texts_get_one_answer(predictor):
    scores = predictor.predict(["The same film"] * 50).scores
    np.testing.assert_allclose(scores, np.repeat(scores[:1], 50, axis=0), atol=1e-6)


def test_odd_texts_get_an_answer(predictor):
    odd = ["\0", "\ud800", "中文 \u200b", "x" * 5000, " \n\t ", "[CLS] [SEP]", "🙂" * 300]
    found = predictor.predict(odd)
    assert np.isfinite(found.scores).all()
    assert found.num_unknown[2] > 0 and found.num_unknown[5] == 0


def test_what_was_cut_is_counted(predictor):
    fits, cut = predictor.predict(["a " * 30, "a " * 31])
    assert (fits.num_tokens, fits.truncated) == (32, False)
    assert (cut.num_tokens, cut.truncated) == (33, True)
    assert cut.probabilities == pytest.approx(fits.probabilities, abs=1e-6)


@pytest.mark.parametrize("texts", ["one text", b"bytes", None, 3])
def test_a_single_text_is_refused(predictor, texts):
    with pytest.raises(DataError, match="Wrap one text in a list"):
        predictor.predict(texts)


def test_items_that_are_no_texts_are_refused(predictor):
    with pytest.raises(DataError, match="row 1 is None"):
        predictor.predict(["a", None, "b"])


def test_pairs_where_one_text_is_read(predictor):
    with pytest.raises(DataError, match=r"Found pairs, but this model takes single texts: 'text'\."):
        predictor.predict(["a"], ["b"])


@pytest.fixture
def pair_predictor(tiny_encoder):
    model = tiny_model(tiny_encoder("cased"), TOPICS, text="question", text_pair="answer")
    return Predictor(model, precision="float32")


def test_pairs(pair_predictor):
    found = pair_predictor.predict(TEXTS, TEXTS[::-1])
    for index, pair in enumerate(zip(TEXTS, TEXTS[::-1], strict=True)):
        alone = pair_predictor.predict([pair[0]], [pair[1]])
        np.testing.assert_allclose(alone.scores, found.scores[index : index + 1], atol=1e-6)
    swapped = pair_predictor.predict(TEXTS[::-1], TEXTS)
    assert np.abs(swapped.scores - found.scores).max() > 0.01, "which text is first must matter"


def test_pairs_that_are_missing(pair_predictor):
    with pytest.raises(DataError, match="Found single texts, but this model takes pairs: 'question' and"):
        pair_predictor.predict(["a"])
    with pytest.raises(DataError, match="differ in length: 2 and 1"):
        pair_predictor.predict(["a", "b"], ["c"])


@pytest.mark.parametrize("kind", ["cased", "unigram"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_pickled_predictor_predicts_the_same(tiny_encoder, precision, kind):
    predictor = Predictor(tiny_model(tiny_encoder(kind), TOPICS), precision=precision)
    copy = pickle.loads(pickle.dumps(predictor))
    assert copy.precision == precision
    assert np.array_equal(copy.predict(MANY).scores, predictor.predict(MANY).scores)


def test_another_process_predicts_the_same(tiny_encoder):
    predictor = Predictor(tiny_model(tiny_encoder("cased"), TOPICS), precision="float32")
    code = (
        "import base64, pickle, sys\n"
        "predictor, texts = pickle.load(sys.stdin.buffer)\n"
        "print(base64.b64encode(predictor.predict(texts).scores.tobytes()).decode())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps((predictor, TEXTS)),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    scores = np.frombuffer(base64.b64decode(done.stdout), dtype=np.float32).reshape(-1, 3)
    np.testing.assert_allclose(scores, predictor.predict(TEXTS).scores, atol=1e-6)


def test_bfloat16_is_near_and_leaves_the_model_alone(predictor):
    before = {name: weight.clone() for name, weight in predictor.model.module.state_dict().items()}
    half = Predictor(predictor.model, precision="bfloat16")
    np.testing.assert_allclose(half.predict(MANY).scores, predictor.predict(MANY).scores, atol=0.05)
    assert not np.array_equal(half.predict(MANY).scores, predictor.predict(MANY).scores)
    after = predictor.model.module.state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    assert {weight.dtype for weight in after.values()} == {torch.float32}


def test_float32_on_torch_alone_shares_the_models_weights(predictor):
    plain = Predictor(predictor.model, precision="float32", kernels="plain")
    shared = zip(plain._module.parameters(), predictor.model.module.parameters(), strict=True)
    assert all(mine is theirs for mine, theirs in shared) and not plain._module.training


def test_a_model_in_training_is_asked_without_dropout(tiny_encoder):
    model = tiny_model(tiny_encoder("cased"), TOPICS)
    expected = Predictor(model, precision="float32").predict(TEXTS).scores
    model.module.train()
    assert np.array_equal(Predictor(model, precision="float32").predict(TEXTS).scores, expected)


def test_a_model_in_another_precision_is_copied(tiny_encoder):
    model = tiny_model(tiny_encoder("cased"), TOPICS)
    expected = Predictor(model, precision="float32").predict(TEXTS).scores
    model.module.encoder.to(torch.bfloat16)
    predictor = Predictor(model, precision="float32")
    assert {weight.dtype for weight in predictor._module.parameters()} == {torch.float32}
    assert model.module.encoder.embeddings.word.weight.dtype == torch.bfloat16
    np.testing.assert_allclose(predictor.predict(TEXTS).scores, expected, atol=0.05)


def test_loading_a_folder(tiny_encoder, tmp_path):
    model = tiny_model(tiny_encoder("unigram"), TOPICS)
    model.save(tmp_path / "m")
    loaded = Predictor.load(tmp_path / "m", precision="float32", device="cpu")
    expected = Predictor(load_model(tmp_path / "m"), precision="float32").predict(TEXTS)
    assert np.array_equal(loaded.predict(TEXTS).scores, expected.scores)
    with pytest.raises(CheckpointError, match="nowhere does not exist"):
        Predictor.load(tmp_path / "nowhere")


def test_settings_that_cannot_be(predictor):
    with pytest.raises(ConfigError, match="precision is 'int3'"):
        Predictor(predictor.model, precision="int3")
    with pytest.raises(ConfigError, match="device is 'tpu9'"):
        Predictor(predictor.model, device="tpu9")
    with pytest.raises(ConfigError, match="its tokens are 0"):
        Predictor(predictor.model, precision="float32", batch_tokens=0).predict(["a"])


def test_other_tasks(tiny_encoder):
    stars = Task(kind="regression", target_mean=3.0, target_scale=2.0)
    tags = Task(kind="multilabel", labels=("x", "y", "z"), thresholds=(0.0, 0.5, 1.0))
    number = Predictor(tiny_model(tiny_encoder("cased"), stars), precision="float32").predict(MANY)
    assert number.scores.shape == (len(MANY),) and number.answers == number.scores.tolist()
    several = Predictor(tiny_model(tiny_encoder("cased"), tags), precision="float32").predict(MANY)
    assert all("x" in row.answer and "z" not in row.answer for row in several)
