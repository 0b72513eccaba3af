from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import bertblocks as bb
from bertblocks.assembly import pack
from bertblocks.errors import ConfigError, DataError
from bertblocks.explanation import Explainer
from bertblocks.explanation.outputs import explained_output
from bertblocks.inference import Predictor
from bertblocks.text import NO_WORD, locate
from tiny import TEXTS, WORDS, tiny_model
from tiny_ids import ids_model
from tiny_tables import class_texts

TEXT = "The film was very good, and the hotel awful!"
LONG = " ".join(WORDS[number % len(WORDS)] for number in range(60))


def attributions(found) -> np.ndarray:
    return np.array([word.attribution for word in found.words])


def effects(found) -> np.ndarray:
    return np.array([word.leave_one_out for word in found.words])


@pytest.mark.parametrize("pooling", ["cls", "average", "max"])
def test_the_words_add_up_to_the_difference(task, pooling, tiny_encoder):
    model = tiny_model(tiny_encoder("cased"), task, pooling=pooling)
    for found in Explainer(model).explain([TEXT, *TEXTS]):
        difference = found.output - found.baseline_output
        assert found.attributed == pytest.approx(sum(word.attribution for word in found.words), abs=1e-9)
        assert found.residue == pytest.approx(difference - found.attributed, abs=1e-9)
        assert found.is_complete or found.steps in (128, 129)
        allowed = 0.01 * max(abs(difference), task.target_scale)
        assert abs(found.residue) <= allowed or not found.is_complete
        if pooling != "max":
            assert found.is_complete, found


def test_outputs_are_those_of_the_model(model, task):
    predictions = Predictor(model, precision="float32", kernels="plain").predict(TEXTS)
    for found, prediction in zip(Explainer(model).explain(TEXTS), predictions, strict=True):
        if task.kind == "regression":
            assert found.output == pytest.approx(prediction.answer, abs=1e-3) and found.label is None
            assert found.answer == pytest.approx(prediction.answer, abs=1e-3)
        else:
            assert found.answer == prediction.answer
            assert found.label == max(prediction.probabilities, key=prediction.probabilities.get)
            assert found.probability == pytest.approx(prediction.probabilities[found.label], abs=1e-5)


def plain_integrated_gradients(model, text: str, column: int, points: int = 300) -> np.ndarray:
    """The definition as it stands in the paper, one point after another, with a hook in place of packing."""
    located = locate(model.tokenizer, text)
    word = model.module.encoder.embeddings.word
    packed = pack(located.encoded, np.array([0]))
    own = word(packed.input_ids_T).detach()
    ids = packed.input_ids_T.clone()
    ids[torch.from_numpy(~located.is_special)] = model.tokenizer.special_tokens["pad"]
    baseline = word(ids).detach()
    total = torch.zeros_like(own)
    for index in range(points):
        vectors = (baseline + (index + 0.5) / points * (own - baseline)).requires_grad_()
        hook = word.register_forward_hook(lambda *_, vectors=vectors: vectors)
        output = explained_output(model.task, model.module(packed), torch.tensor([column]))
        hook.remove()
        total += torch.autograd.grad(output.sum(), vectors)[0]
    per_token = (total / points * (own - baseline)).sum(1).double().numpy()
    has_word = located.word_of_token != NO_WORD
    return np.bincount(located.word_of_token[has_word], per_token[has_word])


def test_it_is_integrated_gradients(model, task):
    column = task.num_outputs - 1
    label = task.labels[column] if task.labels else None
    (found,) = Explainer(model, tolerance=1e-4).explain([TEXT], label=label, method="integrated-gradients")
    expected = plain_integrated_gradients(model, TEXT, column)
    assert attributions(found) == pytest.approx(expected, abs=2e-3 * task.target_scale)


def test_one_gradient_is_the_ways_end(classifier):
    (found,) = Explainer(classifier).explain([TEXT], method="gradient")
    located = locate(classifier.tokenizer, TEXT)
    packed = pack(located.encoded, np.array([0]))
    word = classifier.module.encoder.embeddings.word
    own = word(packed.input_ids_T).detach().requires_grad_()
    hook = word.register_forward_hook(lambda *_: own)
    column = torch.tensor([classifier.task.labels.index(found.label)])
    output = explained_output(classifier.task, classifier.module(packed), column)
    hook.remove()
    way = own.detach() - word.weight[classifier.tokenizer.special_tokens["pad"]].detach()
    expected = (torch.autograd.grad(output.sum(), own)[0] * way).sum(1).numpy()
    for number, weight in enumerate(attributions(found)):
        assert weight == pytest.approx(expected[located.word_of_token == number].sum(), abs=1e-4)
    assert found.steps == 1 and not found.is_complete and found.agreement is None


def test_leaving_out_is_asking_again(model, task):
    """Against the same texts written without the word, where leaving it out changes no other token."""
    text = "the film was good and the food bad"
    words = text.split()
    (found,) = Explainer(model).explain([text], method="leave-one-out")
    without = [" ".join(words[:n] + words[n + 1 :]) for n in range(len(words))]
    asked = Explainer(model).explain(without, label=found.label, method="leave-one-out")
    expected = [found.output - other.output for other in asked]
    assert effects(found) == pytest.approx(expected, abs=1e-4 * task.target_scale)
    assert found.residue is found.steps is found.baseline is None
    assert all(word.attribution is None for word in found.words)
    assert found.weights() == [(w.start, w.end, w.leave_one_out) for w in found.words]


def test_neighbours_and_order_do_not_matter(model, task):
    explainer = Explainer(model, batch_tokens=50)
    together = explainer.explain(TEXTS)
    for index in (6, 3, 1, 0):
        (alone,) = Explainer(model).explain([TEXTS[index]])
        scale = task.target_scale
        assert attributions(alone) == pytest.approx(attributions(together[index]), abs=1e-3 * scale)
        assert effects(alone) == pytest.approx(effects(together[index]), abs=1e-3 * scale)


def test_more_texts_than_are_taken_at_once(classifier, monkeypatch):
    monkeypatch.setattr("bertblocks.explanation.explainer._TEXTS_AT_ONCE", 3)
    monkeypatch.setattr("bertblocks.explanation.leave_one_out._MOST_TOKENS", 40)
    many = Explainer(classifier).explain(TEXTS, label=["good", "bad"] * 3 + ["none"])
    assert [found.text for found in many] == TEXTS
    assert [found.label for found in many] == ["good", "bad"] * 3 + ["none"]
    (alone,) = Explainer(classifier).explain([TEXTS[5]], label="bad")
    assert effects(many[5]) == pytest.approx(effects(alone), abs=1e-4)


def test_long_work_is_told(classifier, monkeypatch, caplog):
    Explainer(classifier).explain([TEXT])
    assert caplog.text == ""
    monkeypatch.setattr("bertblocks.explanation.leave_one_out._MANY_TOKENS", 100)
    Explainer(classifier).explain([TEXT])
    assert "as the longest text has 11 words: method='integrated-gradients' is quicker" in caplog.text


def test_steps_are_taken_until_the_sum_is_near_enough(classifier):
    rough = Explainer(classifier, tolerance=1.0).explain([TEXT])[0]
    fine = Explainer(classifier, tolerance=1e-5).explain([TEXT])[0]
    cut_off = Explainer(classifier, tolerance=1e-12, max_steps=40).explain([TEXT])[0]
    assert (rough.steps, rough.is_complete) == (9, True)
    assert fine.steps > 9 and abs(fine.residue) <= 1e-5 * max(1, abs(fine.output - fine.baseline_output))
    assert (cut_off.steps, cut_off.is_complete) == (39, False)


@pytest.mark.parametrize("baseline", ["pad", "mask", "mean", None])
def test_baselines(classifier, baseline):
    found = Explainer(classifier, baseline=baseline).explain([TEXT])[0]
    assert found.baseline == (baseline or "pad") and found.is_complete


def test_pairs(pair_model):
    (found,) = Explainer(pair_model).explain(["the film was good"], ["the food was bad"])
    assert [(word.text, word.in_pair) for word in found.words] == [
        *((word, False) for word in ("the", "film", "was", "good")),
        *((word, True) for word in ("the", "food", "was", "bad")),
    ]
    assert found.is_complete and found.pair == "the food was bad"
    assert [start for start, *_ in found.weights(in_pair=True)] == [0, 4, 9, 13]
    assert len(found.weights()) == 4
    # Left out, the second text's first word is what a pair without it would be.
    (without,) = Explainer(pair_model).explain(["the film was good"], ["food was bad"], label=found.label)
    assert found.output - found.words[4].leave_one_out == pytest.approx(without.output, abs=1e-4)


@pytest.mark.parametrize("pooling", ["cls", "average"])
def test_windows(tiny_encoder, task, pooling):
    model = tiny_model(tiny_encoder("cased"), task, pooling=pooling, windows="slide")
    (found,) = Explainer(model).explain([LONG])
    assert not found.truncated and len(found.words) == 60 and found.is_complete
    (short,) = Explainer(model).explain(["a good film"])
    assert len(short.words) == 3


def test_a_text_that_is_cut(classifier):
    (found,) = Explainer(classifier).explain([LONG])
    assert found.truncated and found.num_tokens == 62 and len(found.words) == 30
    assert [word.text for word in found.words] == LONG.split()[:30]


@pytest.mark.parametrize("kind", ["uncased", "unigram"])
def test_other_tokenizers(tiny_encoder, task, kind):
    model = tiny_model(tiny_encoder(kind), task)
    (found,) = Explainer(model).explain(["The café was GOOD and the filmmakers, too"])
    assert [word.text for word in found.words][:4] == ["The", "café", "was", "GOOD"]
    assert found.is_complete


@pytest.mark.parametrize(
    "text", ["", " ", "\0", "\u200f", "lone \ud800", "<b>&amp;", "שלום", "中文字", "x" * 5000, "a " * 3000]
)
def test_hostile_texts(classifier, text):
    for found in Explainer(classifier).explain([text, TEXT]):
        assert found.is_complete
        assert all(found.text[word.start : word.end] == word.text for word in found.words)
        json.dumps(found.to_json(), allow_nan=False)


def test_token_ids_are_explained_by_place():
    model = ids_model()
    rows = [[3, 1, 19, 2], np.array([5, 6, 7], dtype=np.int16)]
    first, second = Explainer(model).explain(rows)
    assert (first.text, second.text) == ("3 1 19 2", "5 6 7")
    assert [(word.text, word.start, word.end) for word in first.words] == [
        ("3", 0, 1), ("1", 2, 3), ("19", 4, 6), ("2", 7, 8)
    ]  # fmt: skip
    assert first.baseline == "mean" and first.is_complete
    (without,) = Explainer(model).explain([[3, 1, 2]], label=first.label)
    assert first.output - first.words[2].leave_one_out == pytest.approx(without.output, abs=1e-4)
    with pytest.raises(DataError, match="ids run from 0 to 19"):
        Explainer(model).explain([[3, 20, 4]])


def test_a_predictor_of_another_precision_can_leave_words_out(tiny_encoder, tmp_path):
    model = tiny_model(tiny_encoder("cased"), bb.Task(kind="binary", labels=("no", "yes")))
    model.save(tmp_path / "model")
    exact = Explainer(model).explain([TEXT], method="leave-one-out")[0]
    predictor = Predictor.load(tmp_path / "model", precision="bfloat16", kernels="plain")
    rough = Explainer(predictor).explain([TEXT], label=exact.label, method="leave-one-out")[0]
    assert effects(rough) == pytest.approx(effects(exact), abs=0.3)
    with pytest.raises(ConfigError, match=r"prepared to answer in bfloat16.*method='leave-one-out'"):
        Explainer(predictor).explain([TEXT])
    # A copy was prepared here, and the model is as it was.
    kept = Explainer(Predictor(model, precision="bfloat16", kernels="plain")).explain([TEXT])[0]
    assert kept.is_complete


def test_load(tiny_encoder, tmp_path):
    model = tiny_model(tiny_encoder("cased"), bb.Task(kind="binary", labels=("no", "yes")))
    model.save(tmp_path / "model")
    loaded = bb.Explainer.load(tmp_path / "model", device="cpu").explain([TEXT])[0]
    assert attributions(loaded) == pytest.approx(attributions(Explainer(model).explain([TEXT])[0]), abs=1e-5)


def test_the_model_is_left_as_it_was(classifier, unprepared):
    before = {name: weight.clone() for name, weight in classifier.module.state_dict().items()}
    flags = [weight.requires_grad for weight in classifier.module.parameters()]
    Explainer(classifier).explain([TEXT])
    assert unprepared(classifier.module)
    assert [weight.requires_grad for weight in classifier.module.parameters()] == flags
    assert all(torch.equal(weight, before[name]) for name, weight in classifier.module.state_dict().items())


def test_under_inference_mode(classifier):
    expected = Explainer(classifier).explain([TEXT])[0]
    with torch.inference_mode():
        found = Explainer(classifier).explain([TEXT])[0]
    assert attributions(found) == pytest.approx(attributions(expected), abs=1e-6)


def test_frozen_weights_have_gradients_for_words(classifier):
    classifier.module.requires_grad_(False)
    assert Explainer(classifier).explain([TEXT])[0].is_complete


def test_agreement(classifier):
    found = Explainer(classifier).explain([TEXT])[0]
    assert -1 <= found.agreement <= 1
    assert Explainer(classifier).explain(["good film"])[0].agreement is None, "two words have no order"
    assert Explainer(classifier).explain([""])[0].agreement is None


def test_the_clue_is_found(tiny_encoder):
    """A model that has learned that one word decides is explained by that word, in both ways."""
    texts, labels = class_texts(120, ("bad", "good"))
    model = bb.TextClassifier(
        tiny_encoder("cased"), epochs=20, learning_rate=5e-3, batch_tokens=256, precision="float32",
        validation_fraction=0,
    ).fit(texts, labels)  # fmt: skip
    assert model.score(texts, labels) > 0.95
    clues = ("bad", "awful", "good", "great")
    found = model.explain(texts[:40])
    by_gradient = [max(one.words, key=lambda word: word.attribution).text in clues for one in found]
    by_leaving = [max(one.words, key=lambda word: word.leave_one_out).text in clues for one in found]
    assert np.mean(by_gradient) >= 0.9 and np.mean(by_leaving) >= 0.9
    against = model.explain(texts[:1], label="good" if found[0].label == "bad" else "bad")[0]
    assert min(against.words, key=lambda word: word.attribution).text in clues


def test_estimators(tiny_encoder):
    texts = ["a good film", "an awful film"] * 10
    numbers = bb.TextRegressor(tiny_encoder("cased"), epochs=1, precision="float32", validation_fraction=0)
    numbers.fit(texts, [3.0, 1.0] * 10)
    assert numbers.explain(texts[:2], method="gradient")[0].unit == "number"
    with pytest.raises(ConfigError, match="has no labels"):
        numbers.explain(texts[:1], label=3)
    several = bb.TextClassifier(tiny_encoder("cased"), epochs=1, precision="float32", validation_fraction=0)
    several.fit(texts, [1, 0] * 10)
    assert several.explain(texts[:1], label=0)[0].label == "0"
    assert several.explain(texts[:1], label=np.int64(1))[0].label == "1"
    with pytest.raises(ConfigError, match="no label '7'"):
        several.explain(texts[:1], label=7)
    assert several.explain([]) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"baseline": "zero"}, "baseline is 'zero', but must be one of pad, mask, mean, or None"),
        ({"tolerance": 0}, "tolerance is 0, but must be above 0"),
        ({"tolerance": float("nan")}, "tolerance is nan"),
        ({"max_steps": 8}, "max_steps is 8, but must be 9 or more"),
    ],
)
def test_settings_that_cannot_be(classifier, settings, message):
    with pytest.raises(ConfigError, match=message):
        Explainer(classifier, **settings)


def test_a_baseline_that_the_vocabulary_lacks():
    with pytest.raises(ConfigError, match="no such token: take 'mean'"):
        Explainer(ids_model(), baseline="pad")


@pytest.mark.parametrize("wrong", ["one text", None, 5, [None], [b"x"], [["a", "b"]]])
def test_what_is_no_column_of_texts(classifier, wrong):
    with pytest.raises(DataError):
        Explainer(classifier).explain(wrong)


def test_what_cannot_be_asked(classifier, pair_model):
    with pytest.raises(ConfigError, match="method is 'lime', but must be one of integrated-gradients"):
        Explainer(classifier).explain([TEXT], method="lime")
    with pytest.raises(ConfigError, match="no label 'x'"):
        Explainer(classifier).explain([TEXT], label="x")
    with pytest.raises(DataError, match="Found pairs, but this model takes single texts"):
        Explainer(classifier).explain([TEXT], [TEXT])
    with pytest.raises(DataError, match="but this model takes pairs: 'a' and 'b'"):
        Explainer(pair_model).explain([TEXT])
    with pytest.raises(DataError, match="differ in length"):
        Explainer(pair_model).explain([TEXT], [TEXT, TEXT])


def test_json(classifier):
    (found,) = Explainer(classifier).explain([TEXT])
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert data["words"][1] == {
        "text": "film", "start": 4, "end": 8, "in_pair": False,
        "attribution": found.words[1].attribution, "leave_one_out": found.words[1].leave_one_out,
    }  # fmt: skip
    assert {"text", "pair", "answer", "label", "probability", "output", "unit", "baseline", "residue"} <= set(
        data
    )
    assert data["relative_residue"] == found.relative_residue and data["agreement"] == found.agreement
