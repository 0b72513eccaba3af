from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

import bertblocks as bb
from tiny_tables import CLUES, class_texts, label_lists, numbers

QUICK = {
    "epochs": 25,
    "learning_rate": 5e-3,
    "batch_tokens": 256,
    "precision": "float32",
    "validation_fraction": 0,
}

PARAMETERS = (
    "encoder pooling sequence_length windows stride window_pooling freeze_encoder graph epochs batch_tokens "
    "learning_rate class_weight validation_fraction metric patience precision device seed"
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def classifier(tiny_encoder):
    return bb.TextClassifier(tiny_encoder("cased"), **QUICK)


@pytest.fixture
def regressor(tiny_encoder):
    return bb.TextRegressor(tiny_encoder("cased"), **QUICK)


class TestConventions:
    def test_parameters_are_those_of_the_constructor(self, tiny_encoder):
        for kind in (bb.TextClassifier, bb.TextRegressor):
            model = kind(tiny_encoder("cased"), epochs=7, seed=3)
            parameters = model.get_params()
            assert parameters["encoder"] == tiny_encoder("cased") and parameters["epochs"] == 7
            assert list(parameters) == sorted(PARAMETERS.split())
            assert model.set_params(epochs=8, pooling="max") is model
            assert (model.epochs, model.pooling) == (8, "max")
            with pytest.raises(ValueError, match="Invalid parameter"):
                model.set_params(epoch=8)

    def test_nothing_is_checked_or_loaded_before_fit(self):
        model = bb.TextClassifier("no such encoder", epochs=-3)
        with pytest.raises(bb.ConfigError, match="epochs is -3"):
            bb.TextClassifier("mini", epochs=-3).fit(*class_texts(20))
        with pytest.raises(bb.CheckpointError, match="no such encoder"):
            model.set_params(epochs=1).fit(*class_texts(20))

    def test_clones_are_unfitted_and_alike(self, classifier):
        classifier.fit(*class_texts(30))
        copy = clone(classifier)
        assert copy.get_params() == classifier.get_params() and not hasattr(copy, "model_")
        assert "encoder" in repr(copy)

    def test_kinds(self, classifier, regressor):
        assert is_classifier(classifier) and is_regressor(regressor)

    def test_fit_gives_itself_and_leaves_parameters_alone(self, classifier):
        before = classifier.get_params()
        assert classifier.fit(*class_texts(30)) is classifier
        assert classifier.get_params() == before

    @pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_details", "save"])
    def test_unfitted(self, classifier, method, tmp_path):
        with pytest.raises(NotFittedError, match="This TextClassifier is not fitted: call fit"):
            getattr(classifier, method)(tmp_path / "a" if method == "save" else ["a text"])
        with pytest.raises(NotFittedError):
            bb.TextRegressor().predict(["a text"])

    def test_in_a_pipeline(self, classifier):
        texts, labels = class_texts(60)
        pipeline = Pipeline(
            [
                ("lower", FunctionTransformer(lambda rows: [row.lower() for row in rows])),
                ("model", classifier),
            ]
        )
        pipeline.set_params(model__epochs=21)
        assert pipeline.fit([text.upper() for text in texts], labels).score(texts, labels) > 0.9

    def test_cross_validation(self, classifier):
        scores = cross_val_score(classifier, *class_texts(120), cv=3)
        assert scores.shape == (3,) and scores.min() > 0.7

    def test_cross_validation_of_pairs_and_several_labels(self, classifier, regressor):
        texts, labels = label_lists(60)
        scores = cross_val_score(
            classifier.set_params(epochs=1), texts, labels, cv=KFold(2), error_score="raise"
        )
        assert np.isfinite(scores).all()
        pairs, values = numbers(40)
        scores = cross_val_score(
            regressor.set_params(epochs=1),
            [("the film", text) for text in pairs],
            values,
            cv=2,
            error_score="raise",
        )
        assert np.isfinite(scores).all()

    def test_grid_search(self, classifier):
        texts, labels = class_texts(60)
        search = GridSearchCV(classifier, {"epochs": np.array([1, 20])}, cv=2, error_score="raise").fit(
            texts, labels
        )
        assert search.best_params_ == {"epochs": 20}
        assert search.best_estimator_.predict(texts).tolist() == labels

    def test_pickle(self, classifier):
        texts, labels = class_texts(30)
        for fitted in (False, True):
            if fitted:
                classifier.fit(texts, labels)
                expected = classifier.predict_proba(
                    texts
                )  # Now a predictor is at hand, which does not travel.
            copy = pickle.loads(pickle.dumps(classifier))
            assert copy.get_params() == classifier.get_params()
        assert np.array_equal(copy.predict_proba(texts), expected)

    def test_fit_forgets_what_it_learned_before(self, classifier, tiny_encoder):
        texts, labels = class_texts(60)
        classifier.fit(texts, labels)
        assert classifier.predict(texts).tolist() == labels
        other = class_texts(60, ("colour", "good"), seed=2)
        classifier.fit(*other)
        assert classifier.predict(other[0]).tolist() == other[1]
        fresh = bb.TextClassifier(tiny_encoder("cased"), **QUICK).fit(*other)
        assert np.array_equal(fresh.predict_proba(texts), classifier.predict_proba(texts))

    def test_a_failed_fit_leaves_the_earlier_model(self, classifier):
        texts, labels = class_texts(60)
        expected = classifier.fit(texts, labels).predict_proba(texts)
        with pytest.raises(bb.DataError):
            classifier.fit(texts, ["same"] * 60)
        assert np.array_equal(classifier.predict_proba(texts), expected)

    def test_the_seed_decides(self, tiny_encoder):
        texts, labels = class_texts(40)
        options = {**QUICK, "epochs": 2}
        found = [
            bb.TextClassifier(tiny_encoder("cased"), seed=seed, **options)
            .fit(texts, labels)
            .predict_proba(texts)
            for seed in (1, 1, 2)
        ]
        assert np.array_equal(found[0], found[1]) and not np.array_equal(found[0], found[2])

    def test_a_precision_that_is_changed_later_takes_effect(self, classifier):
        texts, labels = class_texts(40)
        exact = classifier.fit(texts, labels).predict_proba(texts)
        rough = classifier.set_params(precision="bfloat16").predict_proba(texts)
        assert not np.array_equal(exact, rough) and np.allclose(exact, rough, atol=0.1)
        assert np.array_equal(classifier.set_params(precision="float32").predict_proba(texts), exact)


class TestColumns:
    def columns(self, values):
        yield list(values)
        yield tuple(values)
        yield np.array(values)
        yield np.array(values, dtype=object)
        yield pd.Series(values, index=range(100, 100 + len(values)))
        yield pa.array(values)
        yield pa.chunked_array([values[:7], values[7:]])

    def test_of_texts_and_labels_in_any_container(self, tiny_encoder):
        texts, labels = class_texts(30)
        options = {**QUICK, "epochs": 1}
        found = []
        for x, y in zip(self.columns(texts), self.columns(labels), strict=True):
            model = bb.TextClassifier(tiny_encoder("cased"), **options).fit(x, y)
            found.append(model.predict_proba(x))
            assert model.classes_.tolist() == ["bad", "good"]
            assert 0 <= model.score(x, y) <= 1
        assert all(np.array_equal(one, found[0]) for one in found)

    def test_of_numbers_in_any_container(self, tiny_encoder):
        texts, values = numbers(30)
        found = []
        for x, y in zip(self.columns(texts), self.columns(values), strict=True):
            model = bb.TextRegressor(tiny_encoder("cased"), **{**QUICK, "epochs": 1}).fit(x, y)
            found.append(model.predict(x))
            assert model.score(x, y) <= 1
        assert all(np.array_equal(one, found[0]) for one in found)

    def test_of_pairs(self, tiny_encoder):
        second, labels = class_texts(40)
        pairs = [("the film was", text) for text in second]
        frame = pd.DataFrame({"a": ["the film was"] * 40, "b": second})
        found = []
        for x in (pairs, np.array(pairs), frame, pa.Table.from_pandas(frame)):
            model = bb.TextClassifier(tiny_encoder("cased"), **{**QUICK, "epochs": 3}).fit(x, labels)
            found.append(model.predict_proba(x))
        assert all(np.array_equal(one, found[0]) for one in found)
        with pytest.raises(bb.DataError, match="Found single texts, but this model takes pairs"):
            model.predict(second)


class TestLabels:
    @pytest.mark.parametrize(
        ("bad", "good", "kind"),
        [(0, 1, "i"), (np.int64(7), np.int64(-3), "i"), (False, True, "b"), ("b", "g", "U"), (0.5, 1.0, "f")],
    )
    def test_come_back_as_they_were_given(self, classifier, bad, good, kind):
        texts, labels = class_texts(60)
        given = [{"bad": bad, "good": good}[label] for label in labels]
        classifier.fit(texts, given)
        found = classifier.predict(texts)
        assert found.dtype.kind == classifier.classes_.dtype.kind == kind
        assert found.tolist() == given and classifier.score(texts, given) == 1.0
        assert classifier.score(texts[:2], [given[0], "neither"], sample_weight=[3, 1]) == 0.75
        assert set(classifier.classes_.tolist()) == {bad, good}
        columns = [classifier.classes_.tolist().index(label) for label in given]
        assert (classifier.predict_proba(texts)[np.arange(60), columns] > 0.5).all()

    def test_of_mixed_types_come_back_too(self, classifier):
        texts, labels = class_texts(60)
        given = [{"bad": "b", "good": 1}[label] for label in labels]
        assert classifier.fit(texts, given).predict(texts).tolist() == given

    def test_white_space_around_them_makes_no_other_label(self, classifier):
        texts, labels = class_texts(60)
        given = [label + " " * (index > 30) for index, label in enumerate(labels)]
        assert classifier.fit(texts, given).classes_.tolist() == ["bad", "good"]

    def test_ten_comes_after_nine(self, classifier):
        texts, labels = class_texts(60, tuple(CLUES))
        given = [{"bad": 10, "good": 9, "colour": -1}[label] for label in labels]
        assert classifier.fit(texts, given).classes_.tolist() == [-1, 9, 10]
        assert classifier.predict(texts).tolist() == given

    def test_in_lists(self, classifier):
        texts, labels = label_lists(96)
        classifier.fit(texts, labels)
        found = classifier.predict(texts)
        assert found.dtype == object and found.shape == (96,)
        assert [sorted(row) for row in found] == [sorted(row) for row in labels]
        assert classifier.score(texts, labels) == 1.0
        assert classifier.score(texts, [[*row, "OTHER"] for row in labels]) == 0.0
        assert classifier.score(texts[:2], [labels[0], ["wrong"]], sample_weight=[3, 1]) == 0.75
        assert classifier.predict_proba(texts).shape == (96, 2)
        with pytest.raises(bb.DataError, match="96 texts, but 1 target"):
            classifier.score(texts, [["CAT"]])

    def test_of_integers_in_lists(self, classifier):
        texts, labels = label_lists(96)
        given = [[{"CAT": 10, "DOG": 2}[label] for label in row] for row in labels]
        classifier.fit(texts, given)
        assert classifier.classes_.tolist() == [2, 10]
        assert [sorted(row) for row in classifier.predict(texts)] == [sorted(row) for row in given]
        assert classifier.score(texts, given) == 1.0


class TestMatrices:
    """scikit-learn's own form of several labels."""

    @pytest.fixture
    def data(self):
        texts, labels = label_lists(96)
        # The second label has no row, as may happen to a rare one in a part of the rows.
        return texts, np.array([["CAT" in row, False, "DOG" in row] for row in labels], dtype=int)

    def test_come_back_as_they_were_given(self, classifier, data):
        texts, matrix = data
        assert classifier.set_params(epochs=60).fit(texts, matrix).classes_.tolist() == [0, 1, 2]
        found = classifier.predict(texts)
        assert found.dtype.kind == "i" and np.array_equal(found, matrix)
        assert classifier.predict_proba(texts).shape == (96, 3) and classifier.predict([]).shape == (0, 3)
        assert classifier.score(texts, matrix) == 1.0
        # The next fit takes another form.
        assert classifier.fit(*class_texts(30)).predict(["good"]).tolist() == ["good"]

    def test_are_tuples_after_loading(self, classifier, data, tmp_path):
        texts, matrix = data
        classifier.fit(texts, matrix).save(tmp_path / "model")
        loaded = bb.load(tmp_path / "model").set_params(precision="float32")
        assert loaded.classes_.tolist() == ["0", "1", "2"]
        rows = [[str(column) for column in np.flatnonzero(row)] for row in classifier.predict(texts)]
        assert [list(answer) for answer in loaded.predict(texts)] == rows
        assert loaded.score(texts, matrix) == classifier.score(texts, matrix) > 0.5

    def test_are_cross_validated(self, classifier, data):
        texts, matrix = data
        for scoring in (None, "f1_micro"):
            scores = cross_val_score(classifier, np.array(texts, dtype=object), matrix, cv=2, scoring=scoring)
            assert scores.min() >= 0.5


class TestNumbers:
    def test_are_predicted_in_their_own_unit(self, regressor):
        texts, values = numbers(96)
        found = regressor.fit(texts, values).predict(texts)
        assert found.dtype == np.float64 and found.shape == (96,)
        assert np.abs(found - values).max() < 9 and regressor.score(texts, values) > 0.9

    def test_beside_a_large_mean_are_told_apart(self, regressor):
        texts, values = numbers(96)
        plain = regressor.fit(texts, values).predict(texts)
        late = regressor.fit(texts, [value + 1.7e9 for value in values]).predict(texts)
        assert np.abs(late - 1.7e9 - plain).max() < 1e-3 and regressor.score(texts, plain + 1.7e9) > 0.999

    def test_refuse_what_has_no_meaning(self, regressor):
        texts, values = numbers(30)
        for given, message in (
            (["one"] * 30, "expected a number, found 'one'"),
            ([float("inf")] * 30, "finite"),
            ([1e38] * 30, r"expected a number from -1e\+37 to 1e\+37, found 1e\+38 .*in another unit"),
            ([1.0] * 30, "nothing to predict"),
        ):
            with pytest.raises(bb.DataError, match=message):
                regressor.fit(texts, given)
        with pytest.raises(bb.ConfigError, match="class_weight has no effect on a regression"):
            regressor.set_params(class_weight="auto").fit(texts, values)


class TestSaving:
    @pytest.mark.parametrize("data", [class_texts, label_lists, numbers], ids=["classes", "lists", "numbers"])
    def test_a_loaded_model_gives_the_same_answers(self, tiny_encoder, tmp_path, data):
        texts, targets = data(40)
        kind = bb.TextRegressor if data is numbers else bb.TextClassifier
        model = kind(tiny_encoder("cased"), pooling="max", sequence_length=20, **QUICK).fit(texts, targets)
        model.save(tmp_path / "model")
        loaded = bb.load(tmp_path / "model").set_params(precision="float32")
        assert type(loaded) is kind
        assert np.array_equal(loaded.predict_details(texts).scores, model.predict_details(texts).scores)
        assert loaded.predict(texts).tolist() == model.predict(texts).tolist()
        # What it was is what another fit would make it again.
        assert (loaded.pooling, loaded.sequence_length, loaded.freeze_encoder) == ("max", 20, False)
        assert loaded.encoder == str(tiny_encoder("cased"))

    def test_labels_are_texts_after_loading(self, classifier, tmp_path):
        texts, labels = class_texts(30)
        classifier.fit(texts, [int(label == "good") for label in labels]).save(tmp_path / "model")
        assert bb.load(tmp_path / "model").classes_.tolist() == ["0", "1"]

    def test_a_model_of_the_command_line_loads_too(self, tiny_encoder, tmp_path):
        from bertblocks.training import TableRun, TrainingSettings, train_table
        from tiny_tables import write_csv

        texts, labels = class_texts(40)
        run = TableRun(
            table=str(write_csv(tmp_path / "t.csv", {"text": texts, "label": labels})),
            text="text",
            target="label",
            output=str(tmp_path / "model"),
            encoder=str(tiny_encoder("cased")),
            freeze_encoder=True,
            baseline=False,
            training=TrainingSettings(epochs=1, precision="float32"),
        )
        train_table(run)
        loaded = bb.load(tmp_path / "model")
        assert loaded.freeze_encoder and set(loaded.predict(texts)) <= {"bad", "good"}
        assert loaded.fit(texts, labels).predict_proba(texts).shape == (40, 2)

    def test_what_is_no_model(self, tiny_encoder, tmp_path):
        (tmp_path / "file").write_text("x", encoding="utf-8")
        for path in (tmp_path, tmp_path / "none", tmp_path / "file", tiny_encoder("cased"), str(tmp_path)):
            with pytest.raises(bb.CheckpointError, match=r"not a|does not exist"):
                bb.load(path)

    def test_a_folder_of_other_things_is_left_alone(self, classifier, tmp_path):
        classifier.set_params(epochs=1).fit(*class_texts(20))
        (tmp_path / "mine.txt").write_text("x", encoding="utf-8")
        with pytest.raises(bb.CheckpointError, match="nothing was written"):
            classifier.save(tmp_path)
        classifier.save(tmp_path / "model")
        classifier.save(tmp_path / "model")  # A model may be replaced.


class TestWrongInput:
    @pytest.mark.parametrize(
        ("texts", "labels", "message"),
        [
            (["a", None, "b"], ["x", "y", "x"], r"texts\[1\] is missing"),
            (["a", 3, "b"], ["x", "y", "x"], r"texts\[1\] is 3"),
            (["a", "b"], ["x", "y", "x"], "2 texts, but 3 targets"),
            (["a", "b"], ["x", None], "row 2: the target is missing"),
            (["a", "b"], ["x", "x"], "one class only"),
            ([], [], "no values"),
            ("a text", ["x"], "single str"),
            (["a", "b"], "xy", "single str"),
            ([("a", "b"), "c"], ["x", "y"], r"texts\[1\] is 'c'"),
            ([("a", "b", "c")], ["x"], "pair of two str"),
            (np.zeros((2, 3)), ["x", "y"], "3 columns"),
            (["a", "b"], np.full((2, 3), 2), r"shape \(2, 3\).* matrix of 0 and 1"),
            (["a", "b"], np.array([[0], [1]]), r"shape \(2, 1\).*targets\.ravel\(\)"),
            (["a", "b"], np.zeros((2, 3)), "no label in any row"),
            (
                ["a", "", " "],
                ["x", "y", "x"],
                r"texts\[1\] is blank; texts\[2\] is blank\. .*leave these rows out",
            ),
            ([("a", "b"), ("c", " ")], ["x", "y"], r"texts\[1\] is blank"),
            (["a"] * 40, np.linspace(0, 1, 40), "40 different numbers, such as .*: TextRegressor predicts"),
            (["a", "b"], [["x"], [None]], "label"),
            (["a", "b"], [{"x": 1}, {"y": 2}], "expected a label"),
        ],
    )
    def test_of_fit(self, classifier, texts, labels, message):
        with pytest.raises(bb.DataError, match=message):
            classifier.fit(texts, labels)

    def test_of_predict(self, classifier):
        classifier.set_params(epochs=1).fit(*class_texts(20))
        for texts in (
            "one text",
            ["a", None],
            [1.5],
            [("a", "b")],
            None,
            pd.DataFrame({"a": ["x"], "b": ["y"]}),
        ):
            with pytest.raises(bb.DataError):
                classifier.predict(texts)
        assert classifier.predict([]).shape == (0,) and classifier.predict_proba([]).shape == (0, 2)
        strange = ["", " ", "\x00", "\ud83d", "a" * 100_000, "好" * 1000]
        assert classifier.predict(strange).shape == (6,)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"pooling": "mean"}, "pooling"),
            ({"sequence_length": 0}, "sequence_length 0"),
            ({"sequence_length": 500}, "position table ends at 128"),
            ({"validation_fraction": 1.5}, "1.5"),
            ({"validation_fraction": -0.1}, "-0.1"),
            ({"validation_fraction": 1.0}, "validation_fraction is 1.0, but must be 0 or more and below 1"),
            ({"metric": "pearson"}, "metric is 'pearson'"),
            ({"seed": -1}, "seed is -1"),
            ({"learning_rate": 1e30}, "Lower the learning rate"),
            ({"class_weight": "balanced"}, "class_weight is 'balanced'"),
            ({"precision": "half"}, "precision is 'half'"),
            ({"device": "tpu"}, "device is 'tpu'"),
        ],
    )
    def test_of_parameters(self, classifier, parameters, message):
        with pytest.raises(bb.BertBlocksError, match=message):
            classifier.set_params(**parameters).fit(*class_texts(40))


def test_rows_are_held_out_only_where_there_are_enough(tiny_encoder, monkeypatch):
    from bertblocks.estimators import base as estimators

    seen = []
    train_model = estimators.train_model

    def spy(graph, task, train, validation, settings):
        seen.append((len(train), None if validation is None else len(validation)))
        return train_model(graph, task, train, validation, settings)

    monkeypatch.setattr(estimators, "train_model", spy)
    with pytest.raises(bb.ConfigError, match="validation_fraction is -3"):
        bb.TextClassifier(tiny_encoder("cased"), validation_fraction=-3).fit(*class_texts(10))
    for num_rows in (19, 20, 40):
        bb.TextClassifier(tiny_encoder("cased"), epochs=1, precision="float32").fit(*class_texts(num_rows))
    assert seen == [(19, None), (18, 2), (36, 4)]


def test_a_frozen_encoder(tiny_encoder):
    texts, labels = class_texts(96)
    options = {**QUICK, "epochs": 100, "learning_rate": 2e-2}
    model = bb.TextClassifier(tiny_encoder("cased"), freeze_encoder=True, **options).fit(texts, labels)
    assert model.score(texts, labels) > 0.95


def test_details(classifier):
    texts, labels = class_texts(30)
    classifier.set_params(sequence_length=5, epochs=1).fit(texts, labels)
    found = classifier.predict_details(["good " * 30, "the film"])
    assert found.truncated.tolist() == [True, False] and found.num_tokens.tolist() == [32, 4]
    assert found[1].answer in ("bad", "good") and set(found[1].probabilities) == {"bad", "good"}


class TestWeights:
    def test_only_proportions_count(self, classifier):
        texts, labels = class_texts(33)
        classifier.set_params(epochs=2)
        plain = classifier.fit(texts, labels).predict_proba(texts)
        assert np.array_equal(
            classifier.fit(texts, labels, sample_weight=[3] * 33).predict_proba(texts), plain
        )
        weights = np.arange(33.0)
        once = classifier.fit(texts, labels, sample_weight=pd.Series(weights)).predict_proba(texts)
        twice = classifier.fit(texts, labels, sample_weight=2 * weights).predict_proba(texts)
        assert np.array_equal(once, twice) and not np.array_equal(once, plain)

    def test_of_numbers(self, regressor):
        texts, values = numbers(24)
        regressor.set_params(epochs=1).fit(texts, values, sample_weight=[1, 0, 2] * 8)
        assert np.isfinite(regressor.score(texts, values, sample_weight=[1, 0, 2] * 8))

    def test_score_is_the_weighted_share(self, classifier):
        texts, labels = class_texts(20)
        classifier.set_params(epochs=1).fit(texts, labels)
        right = classifier.predict(texts) == np.array(labels)
        weights = [0, 1, 2, 3] * 5
        assert classifier.score(texts, labels, weights) == pytest.approx(np.average(right, weights=weights))

    @pytest.mark.parametrize("names", [("1.0", "2.0"), (1.0, 2.0), ("01", "1.0"), (True, False)])
    def test_score_reads_labels_as_training_does(self, classifier, names):
        texts, labels = class_texts(20)
        given = [names[label == "good"] for label in labels]
        classifier.set_params(epochs=1).fit(texts, given)
        right = classifier.predict(texts) == np.array(given)
        assert classifier.score(texts, given) == right.mean()
        assert classifier.score(texts, classifier.predict(texts)) == 1.0

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            ([1] * 19, "20 texts, but 19 weights"),
            ([1] * 19 + [-1], "row 20: .*finite number of 0 or more, found -1"),
            ([1] * 19 + [None], "row 20: the weight is missing"),
            ([0] * 20, "all 20 weights are 0"),
            (2.0, "sample_weight"),
        ],
    )
    def test_that_cannot_be(self, classifier, weights, message):
        texts, labels = class_texts(20)
        with pytest.raises(bb.DataError, match=message):
            classifier.set_params(epochs=1).fit(texts, labels, sample_weight=weights)
        with pytest.raises(bb.DataError, match=message):
            classifier.fit(texts, labels).score(texts, labels, sample_weight=weights)

    def test_of_classes_by_the_labels_of_the_caller(self, classifier):
        texts, labels = class_texts(24)
        classifier.set_params(epochs=1, class_weight={0: 1, 1: 50})
        fitted = clone(classifier).fit(texts, [int(label == "good") for label in labels])
        by_text = clone(classifier).set_params(class_weight={"bad": 1, "good": 50}).fit(texts, labels)
        assert np.array_equal(fitted.predict_proba(texts), by_text.predict_proba(texts))
        assert pickle.loads(pickle.dumps(fitted)).class_weight == {0: 1, 1: 50}
        with pytest.raises(bb.ConfigError, match="unknown labels: '2'; labels without a weight: '1'"):
            classifier.set_params(class_weight={0: 1, 2: 2}).fit(texts, [0, 1] * 12)
        with pytest.raises(bb.ConfigError, match="'balanced'"):
            classifier.set_params(class_weight="balanced").fit(texts, labels)


def test_load_says_where_and_how_to_compute(classifier, tmp_path):
    classifier.set_params(epochs=1).fit(*class_texts(20)).save(tmp_path / "model")
    loaded = bb.load(tmp_path / "model", precision="float32", device="cpu")
    assert (loaded.precision, loaded.device) == ("float32", "cpu")
    for wrong in ({"precision": "float16"}, {"device": "tpu"}):
        with pytest.raises(bb.ConfigError, match=next(iter(wrong.values()))):
            bb.load(tmp_path / "model", **wrong)


def test_labels_are_given_from_their_own_thresholds_on(tiny_encoder, tmp_path):
    texts, lists = label_lists(120)
    options = {**QUICK, "epochs": 2, "validation_fraction": 0.4}
    model = bb.TextClassifier(tiny_encoder("cased"), **options).fit(texts, lists)
    thresholds = model.model_.task.thresholds
    assert len(thresholds) == 2 and thresholds != (0.5, 0.5)
    given = model.predict_proba(texts) >= np.array(thresholds, dtype=np.float32)
    assert model.predict(texts).tolist() == [tuple(model.classes_[row]) for row in given]
    model.save(tmp_path / "model")
    loaded = bb.load(tmp_path / "model", precision="float32")
    assert loaded.predict(texts).tolist() == model.predict(texts).tolist()


def test_a_matrix_as_lists_is_not_taken_for_labels():
    with pytest.raises(
        bb.DataError, match=r"targets\[0\] is \[0, 1, 1\], which names a label twice.*numpy.array"
    ):
        bb.TextClassifier().fit(["a", "b", "c"], [[0, 1, 1], [0, 1, 0], [1, 0, 0]])


def test_a_matrix_of_other_values_is_told_by_them():
    matrix = np.array([[0.0, 1.0], [1.0, 2.0], [0.0, 0.0]])
    with pytest.raises(bb.DataError, match=r"the shape \(3, 2\) and in row 1 the value 2.0: expected"):
        bb.TextClassifier().fit(["a", "b", "c"], matrix)
