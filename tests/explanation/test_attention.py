from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch

from bertblocks.assembly import AssembledModel, pack
from bertblocks.blocks import Task
from bertblocks.encoder import BertEncoder, EncoderConfig, PackedTokens, initialize, to_precision
from bertblocks.errors import ConfigError, DataError, ShapeError
from bertblocks.explanation import attention_page, read_encoder
from tiny import HIDDEN, LAYERS, tiny_model
from tiny_ids import ids_model

TEXT = "the cat saw the dog"
INJECTION = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
HEADS = 4
IDS = np.array([5, 9, 5, 30, 2])


def encoder_of(**options) -> BertEncoder:
    torch.manual_seed(0)
    config = EncoderConfig(
        **{
            "vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
            "intermediate_size": 48, "max_position_embeddings": 20, **options,
        }
    )  # fmt: skip
    encoder = BertEncoder(config)
    initialize(encoder, standard_deviation=0.3)
    return encoder.eval()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"activation": "relu"},
        {"activation": "gelu_tanh", "layer_norm_eps": 1e-3},
        {"family": "roberta", "position_offset": 2, "type_vocab_size": 1},
        {"hidden_size": 12, "num_attention_heads": 3, "intermediate_size": 20},
    ],
)
def test_it_computes_what_the_encoder_computes(options):
    encoder = encoder_of(**options)
    packed = PackedTokens.pack([IDS], [3])
    reading = read_encoder(encoder, packed)
    with torch.no_grad():
        torch.testing.assert_close(
            reading.layers[-1].output_LD, encoder(packed, "sequence"), atol=1e-5, rtol=0
        )
        torch.testing.assert_close(reading.embedded_LD, encoder.embeddings(packed), atol=0, rtol=0)
        total = reading.words_LD + reading.positions_LD + reading.segments_LD
        torch.testing.assert_close(encoder.embeddings.norm(total), reading.embedded_LD, atol=1e-6, rtol=0)
    for layer in reading.layers:
        assert layer.weights_NLL.sum(-1) == pytest.approx(
            torch.ones(4 if not options.get("hidden_size") else 3, 5)
        )
        assert (layer.weights_NLL >= 0).all()
    assert len(reading.states) == 4 and not reading.states[-1].requires_grad


def test_a_real_encoder(minilm):
    from bertblocks.assembly import load_encoder_module
    from bertblocks.checkpoints import read_checkpoint

    encoder = load_encoder_module(read_checkpoint(minilm)).eval()
    packed = PackedTokens.pack([np.array([101, 2023, 2003, 1037, 7953, 102])])
    with torch.no_grad():
        expected = encoder(packed, "sequence")
    torch.testing.assert_close(read_encoder(encoder, packed).states[-1], expected, atol=1e-5, rtol=0)


def test_what_cannot_be_read():
    with pytest.raises(ShapeError, match="One sequence is read at a time; found 2"):
        read_encoder(encoder_of(), PackedTokens.pack([IDS, IDS]))
    with pytest.raises(ConfigError, match="load the model again"):
        read_encoder(to_precision(encoder_of(), "bfloat16", "plain"), PackedTokens.pack([IDS]))


def with_heads(model: AssembledModel) -> AssembledModel:
    """The same weights, read as those of several heads."""
    encoder = model.module.encoder
    encoder.config = replace(encoder.config, num_attention_heads=HEADS)
    for layer in encoder.layers:
        layer.attention.num_heads = HEADS
    return model


def data_of(page: str) -> dict:
    content = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1]
    return json.loads(content)


def numbers(text: str, *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype="<f4").reshape(shape)


def test_the_pages_numbers_are_the_models(classifier):
    with_heads(classifier)
    data = data_of(attention_page(classifier, TEXT))
    encoded = classifier.encode([TEXT])
    reading = read_encoder(classifier.module.encoder, pack(encoded, np.array([0])))
    L, D, N = len(data["tokens"]), HIDDEN, HEADS
    assert [token["id"] for token in data["tokens"]] == encoded.ids[0].tolist()
    assert [token["piece"] for token in data["tokens"]][:3] == ["[CLS]", "the", "cat"]
    words = [token["word"] for token in data["tokens"]]
    assert list(dict.fromkeys(words)) == [None, "the", "cat", "saw", "dog"]
    assert (numbers(data["words"], L, D) == reading.words_LD.numpy()).all()
    assert (numbers(data["embedded"], L, D) == reading.embedded_LD.numpy()).all()
    for index, layer in enumerate(reading.layers):
        q, k, v = (numbers(data[name][index], N, L, D // N) for name in ("queries", "keys", "values"))
        assert (v == layer.values_NLH.numpy()).all()
        scores = torch.from_numpy(q @ k.transpose(0, 2, 1)) / (D // N) ** 0.5
        torch.testing.assert_close(scores.softmax(-1), layer.weights_NLL, atol=1e-6, rtol=0)
    kept = numbers(data["kept"][-1], L)
    expected = torch.cosine_similarity(reading.states[0], reading.states[-1], dim=1)
    assert kept == pytest.approx(expected.numpy(), abs=1e-6)
    assert numbers(data["likeness"][0], L, L).diagonal() == pytest.approx(np.ones(L), abs=1e-6)
    assert (data["model"]["layers"], data["model"]["heads"]) == (LAYERS, HEADS)
    assert data["answer"]["text"] in classifier.task.labels


def test_similar_pieces_are_the_nearest(classifier, monkeypatch):
    monkeypatch.setattr("bertblocks.explanation.sentence_page._CHUNK_ROWS", 7)
    data = data_of(attention_page(classifier, TEXT))
    weight = classifier.module.encoder.embeddings.word.weight.detach()
    for token, near in zip(data["tokens"], data["neighbours"], strict=True):
        cosines = torch.cosine_similarity(weight, weight[token["id"]][None], dim=1)
        order = [index for index in cosines.argsort(descending=True).tolist() if index != token["id"]][:5]
        assert [found["piece"] for found in near] == [classifier.tokenizer.token(i) for i in order]
        assert [found["cosine"] for found in near] == pytest.approx(cosines[order].tolist(), abs=1e-3)


@pytest.mark.parametrize(
    "task",
    [
        Task(kind="regression", target_mean=3.0, target_scale=2.0),
        Task(kind="multilabel", labels=("<b>", INJECTION), thresholds=(0.0, 0.0)),
        Task(kind="multilabel", labels=("a", "b"), thresholds=(1.0, 1.0)),
    ],
)
def test_other_tasks(tiny_encoder, task):
    data = data_of(attention_page(tiny_model(tiny_encoder("unigram"), task, pooling="average"), TEXT))
    assert data["answer"]["probability"] is None and data["answer"]["text"]


def test_pairs_and_texts_that_are_cut(pair_model, classifier):
    page = data_of(attention_page(pair_model, "the cat", "a dog"))
    assert page["pair"] == "a dog" and {token["segment"] for token in page["tokens"]} == {0, 1}
    cut = data_of(attention_page(classifier, "the cat " * 30))
    assert cut["cut"] and len(cut["tokens"]) == 32


@pytest.mark.parametrize("text", [INJECTION, "<!-- <script>", "lone \ud800 half", "שלום עולם", "a\0b"])
def test_texts_are_data(tiny_encoder, text):
    task = Task(kind="classification", labels=(INJECTION, "b"))
    page = attention_page(tiny_model(tiny_encoder("cased"), task, sequence_length=60), text[:40])
    page.encode("utf-8")
    assert data_of(page)["text"] == text[:40]
    assert page.count("</script>") == 2 and "onerror=" not in page.replace("onerror=\\", "")
    assert not re.search(r"https?:|url\(|@import", page)


def test_what_has_no_page(tiny_encoder, classifier, pair_model):
    task = Task(kind="binary", labels=("no", "yes"))
    long = tiny_model(tiny_encoder("cased"), task, sequence_length=128)
    with pytest.raises(DataError, match="The text has 72 tokens, and the page has room for 64"):
        attention_page(long, "cat " * 70)
    with pytest.raises(DataError, match="no word that the page could show"):
        attention_page(classifier, " ")
    with pytest.raises(DataError, match="takes token ids"):
        attention_page(ids_model(), "1 2 3")
    with pytest.raises(DataError, match="takes pairs"):
        attention_page(pair_model, TEXT)


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs the browser chromium to open the page")


def opened(page: str, folder) -> tuple[str, str]:
    """The page's HTML after its script has run, and what the browser's console said."""
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0",
            f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000", "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True, encoding="utf-8", timeout=120, check=True,
    )  # fmt: skip
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@needs_chromium
@pytest.mark.parametrize("text", [TEXT, INJECTION[:50], "שלום עולם"])
def test_it_works_in_a_browser(tiny_encoder, tmp_path, text):
    task = Task(kind="classification", labels=(INJECTION, "b"))
    model = with_heads(tiny_model(tiny_encoder("cased"), task, sequence_length=60))
    html, console = opened(attention_page(model, text), tmp_path)
    assert console == ""
    assert "<title>How the model reads a sentence</title>" in html, "nothing has changed the title"
    assert html.count("<canvas") == HEADS and html.count('<table id="matrix"') == 1
    assert "<img" not in html
