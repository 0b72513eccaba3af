"""Models and encoders asked in every precision, by every kernel of this machine."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
import torch

from bertblocks.assembly import load_model
from bertblocks.blocks import Task
from bertblocks.encoder import Product, available_kernels, native
from bertblocks.encoder.native import calls
from bertblocks.errors import ConfigError
from bertblocks.inference import Predictor, load_encoder
from tiny import TEXTS, tiny_encoder_folder, tiny_model

pytestmark = pytest.mark.usefixtures("quiet_zentorch")

TOPICS = Task(kind="classification", labels=("a", "b", "c"))
MANY = [*TEXTS, *("word " * n + "end." for n in range(20))]
WAYS = [(precision, kernels) for precision in get_args(Product) for kernels in available_kernels(precision)]
every_way = pytest.mark.parametrize(("precision", "kernels"), WAYS, ids=map("-".join, WAYS))
PREPARED = [way for way in WAYS if way not in (("float32", "plain"), ("bfloat16", "plain"))]
# Of probabilities: what 8 significant bits, and 127 steps of the largest value, change of this model's.
NEAR = {"float32": 1e-6, "bfloat16": 0.05, "int8": 0.05}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    # One head of 32: of narrower ones our kernels take none.
    tiny_model(tiny_encoder_folder(path / "encoder", heads=1), TOPICS, pooling="average").save(path / "model")
    return path / "model"


@pytest.fixture(scope="module")
def exact(folder):
    return Predictor.load(folder, precision="float32", kernels="plain").predict(MANY).scores


@every_way
def test_predictions_are_near_and_batches_equal_single_texts(folder, exact, precision, kernels):
    predictor = Predictor.load(folder, precision=precision, kernels=kernels)
    assert (predictor.precision, predictor.kernels) == (precision, kernels)
    scores = predictor.predict(MANY).scores
    np.testing.assert_allclose(scores, exact, atol=NEAR[precision])
    alone = np.concatenate([predictor.predict([text]).scores for text in MANY])
    # The head is torch's in float32, whose sums depend on the number of rows.
    np.testing.assert_allclose(alone, scores, atol=1e-6 if precision != "bfloat16" else 0.02)
    assert precision == "float32" or not np.array_equal(scores, exact)


@pytest.mark.skipif(native.missing() is not None, reason=f"no kernels: {native.missing()}")
def test_plain_uses_nothing_of_the_compiled_part(folder, exact, monkeypatch):
    called = []
    for name in ("linear", "linear_int8", "add_norm", "attention", "quantize_rows"):
        monkeypatch.setattr(calls, name, lambda *_, name=name, **__: called.append(name))
    for precision in ("float32", "bfloat16", "int8"):
        Predictor(load_model(folder), precision=precision, kernels="plain").predict(MANY)
        Predictor.load(folder, precision=precision, kernels="plain").predict(MANY)
    assert called == []
    with pytest.raises((TypeError, AttributeError)):
        Predictor(load_model(folder), precision="float32", kernels="native").predict(MANY)
    assert "attention" in called or "linear" in called


@every_way
def test_a_model_is_left_as_it_was(folder, exact, precision, kernels, tmp_path):
    model = load_model(folder)
    Predictor(model, precision=precision, kernels=kernels).predict(TEXTS)
    model.save(tmp_path / "again")
    again = Predictor.load(tmp_path / "again", precision="float32", kernels="plain")
    assert np.array_equal(again.predict(MANY).scores, exact)


@pytest.mark.parametrize(("precision", "kernels"), PREPARED, ids=map("-".join, PREPARED))
def test_a_model_that_is_loaded_to_predict_is_not_saved(folder, precision, kernels, tmp_path):
    predictor = Predictor.load(folder, precision=precision, kernels=kernels)
    with pytest.raises(ConfigError) as caught:
        predictor.model.save(tmp_path / "again")
    assert str(caught.value) == (
        f"The model's encoder was prepared for the {kernels} kernels, whose weights are not what a model "
        "folder holds. Save the model before it is prepared, or copy its folder."
    )
    assert list(tmp_path.iterdir()) == []


@every_way
def test_a_pickled_predictor_predicts_the_same(folder, precision, kernels):
    predictor = Predictor.load(folder, precision=precision, kernels=kernels)
    copy = pickle.loads(pickle.dumps(predictor))
    assert np.array_equal(copy.predict(MANY).scores, predictor.predict(MANY).scores)


@every_way
@pytest.mark.parametrize("output", ["cls", "average", "max"])
def test_vectors_are_near_float32(tiny_encoder, precision, kernels, output):
    expected = load_encoder(tiny_encoder("cased"), precision="float32", kernels="plain")
    encoder = load_encoder(tiny_encoder("cased"), precision=precision, kernels=kernels)
    assert (encoder.precision, encoder.kernels) == (precision, kernels)
    found = encoder.encode(TEXTS, output=output)
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, expected.encode(TEXTS, output=output), atol={"float32": 1e-5}.get(precision, 0.15)
    )


def test_kernels_that_cannot_be(folder, tiny_encoder):
    for load, source in ((Predictor.load, folder), (load_encoder, tiny_encoder("cased"))):
        with pytest.raises(ConfigError, match="kernels is 'mkl', but must be one of auto, native, zentorch"):
            load(source, kernels="mkl")
        with pytest.raises(ConfigError, match="kernels is 'onednn', which cannot run float32 here"):
            load(source, precision="float32", kernels="onednn")


WITHOUT = """
import contextlib, io, json, sys
sys.modules["bertblocks.encoder.native._kernels"] = None
import torch
torch.set_num_threads(1)
from bertblocks.encoder import available_kernels
from bertblocks.errors import ConfigError
from bertblocks.inference import Predictor
folder, texts = sys.argv[1], json.loads(sys.argv[2])
found = {}
for precision in ("float32", "bfloat16", "int8"):
    for kernels in available_kernels(precision):
        predictor = Predictor.load(folder, precision=precision, kernels=kernels)
        found[f"{precision}-{kernels}"] = predictor.predict(texts).scores.tolist()
try:
    Predictor.load(folder, precision="int8", kernels="native")
except ConfigError as error:
    found["refusal"] = str(error)
from bertblocks.cli import main
sys.argv[1:] = ["info", folder, "--json"]
with contextlib.redirect_stdout(io.StringIO()) as told, contextlib.suppress(SystemExit):
    main()
print(json.dumps([found, json.loads(told.getvalue())]))
"""


def test_without_the_compiled_part_torch_does_all(folder, exact):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(folder), json.dumps(MANY)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found, told = json.loads(done.stdout)
    why = "the compiled part was not built when bertblocks was installed"
    others = [way for way in WAYS if way[1] != "native"]
    there = ", ".join(kernels for precision, kernels in others if precision == "int8")
    assert found.pop("refusal") == (
        f"kernels is 'native', which cannot run int8 here ({why}); there are: {there}."
    )
    assert list(found) == ["-".join(way) for way in others]
    for way, scores in found.items():
        np.testing.assert_allclose(scores, exact, atol=NEAR[way.split("-")[0]])
    auto, rest = told["precision_here"].split(" ", 1)
    assert auto in ("float32", "bfloat16")
    assert rest == f"(plain kernels), or int8 ({there.split(', ')[0]} kernels); no native kernels: {why}"


def test_auto_is_bfloat16_where_there_are_kernels_for_it(folder):
    if ("bfloat16", "native") not in WAYS:
        pytest.skip("no native kernels for bfloat16 here: auto is measured")
    predictor = Predictor.load(folder)
    assert predictor.precision == "bfloat16" and predictor.kernels in available_kernels("bfloat16")
    assert predictor._module.head[-1].weight.dtype == torch.float32
