"""A page that walks a newcomer through what the encoder does with one sentence, in the model's real numbers.

Axes: L tokens, D hidden size, V vocabulary.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from torch import Tensor

from bertblocks.assembly import AssembledModel, pack
from bertblocks.errors import DataError
from bertblocks.explanation.attention_reading import EncoderReading, read_encoder
from bertblocks.inference import answers, check_columns, rounded, scores_from_logits
from bertblocks.pages import data_script, document
from bertblocks.text import LocatedText, Tokenizer, locate

MOST_TOKENS = 64
_SCRIPTS = ("attention_numbers.js", "attention_drawing.js", "attention.js")
_NUM_NEIGHBOURS = 5
# Of the word embedding, compared at once.
_CHUNK_ROWS = 16_384


def attention_page(model: AssembledModel, text: str, pair: str | None = None) -> str:
    """Make the page about a sentence.

    Args:
        model: In float32, as load_model gives it.
        text: At most MOST_TOKENS tokens, special ones included.
        pair: The second text, for a model with two.

    Returns:
        A whole HTML document that needs nothing else. Its size is about 16 bytes for each token, layer and
        dimension: 1 MB for 20 tokens of `mini`, 10 MB for 64 of BERT-Base.

    Raises:
        DataError: If the text is too long for a page or not what the model takes.
        ConfigError: If the model has been prepared for another precision or for kernels.
    """
    tokenizer = model.tokenizer
    if tokenizer is None:
        raise DataError(
            "The page shows how words become numbers, and this model takes token ids, which are numbers "
            "already: give a model of texts."
        )
    check_columns(model, None if pair is None else [pair])
    located = locate(tokenizer, text, pair)
    num_tokens = len(located.word_of_token)
    if num_tokens > MOST_TOKENS:
        raise DataError(
            f"The text has {num_tokens} tokens, and the page has room for {MOST_TOKENS}: give one sentence."
        )
    if not located.words:
        raise DataError("The text has no word that the page could show: give a sentence.")
    encoder = model.module.encoder
    packed = pack(located.encoded, np.array([0]))
    reading = read_encoder(encoder, packed)
    with torch.no_grad():
        logits = model.module(packed.to(reading.embedded_LD.device)).float().cpu().numpy()
    data = {
        "text": text,
        "pair": pair,
        "cut": bool(located.encoded.truncated[0]),
        "model": _model_facts(model),
        "answer": _answer(model, logits),
        "tokens": _tokens(tokenizer, located, packed.segment_ids_T.tolist()),
        "neighbours": _neighbours(tokenizer, reading, located, encoder.embeddings.word.weight.detach()),
        **_numbers(reading),
    }
    return document(
        "How the model reads a sentence",
        f"{_file('attention.html')}\n{data_script('data', data)}",
        script="".join(map(_file, _SCRIPTS)),
        style=_file("attention.css"),
    )


def _file(name: str) -> str:
    return (files(__package__ or "bertblocks.explanation") / name).read_text(encoding="utf-8")


def _model_facts(model: AssembledModel) -> dict[str, Any]:
    config = model.module.encoder.config
    return {
        "encoder": model.origin,
        "layers": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "width": config.hidden_size,
        "vocabulary": config.vocab_size,
        "pooling": model.module.pooling,
    }


def _answer(model: AssembledModel, logits: np.ndarray[Any, Any]) -> dict[str, Any]:
    """The label and its probability, the labels, or the number, as the page tells it."""
    scores = scores_from_logits(model.task, logits)
    answer = answers(model.task, scores)[0]
    if isinstance(answer, float):
        return {"text": str(rounded(model.task, answer, 4)), "probability": None}
    if isinstance(answer, tuple):
        return {"text": ", ".join(answer) or "none of its labels", "probability": None}
    return {"text": answer, "probability": float(scores[0].max())}


def _tokens(tokenizer: Tokenizer, located: LocatedText, segments: Sequence[int]) -> list[dict[str, Any]]:
    words = [None if number < 0 else located.words[number].text for number in located.word_of_token]
    rows = zip(located.encoded.ids[0].tolist(), located.is_special.tolist(), words, segments, strict=True)
    return [
        {"piece": tokenizer.token(index), "id": index, "special": special, "word": word, "segment": segment}
        for index, special, word, segment in rows
    ]


def _neighbours(
    tokenizer: Tokenizer, reading: EncoderReading, located: LocatedText, weight_VD: Tensor
) -> list[list[dict[str, Any]]]:
    """For each token the pieces of the vocabulary whose word vectors point most nearly the same way."""
    own_LD = F.normalize(reading.words_LD, dim=1)
    size = min(tokenizer.vocabulary_size, len(weight_VD))
    best = torch.empty((len(own_LD), 0))
    numbers = torch.empty((len(own_LD), 0), dtype=torch.int64)
    for start in range(0, size, _CHUNK_ROWS):
        chunk_VD = F.normalize(weight_VD[start : min(start + _CHUNK_ROWS, size)], dim=1)
        cosines = (own_LD @ chunk_VD.T).cpu()
        both = torch.cat([best, cosines], dim=1)
        places = torch.cat([numbers, torch.arange(start, start + len(chunk_VD)).expand(len(own_LD), -1)], 1)
        # One more than is shown, for the token itself is its own nearest.
        best, chosen = both.topk(min(_NUM_NEIGHBOURS + 1, both.shape[1]), dim=1)
        numbers = places.gather(1, chosen)
    return [
        [
            {"piece": tokenizer.token(index), "cosine": round(cosine, 4)}
            for index, cosine in zip(indices, cosines, strict=True)
            if index != own
        ][:_NUM_NEIGHBOURS]
        for own, indices, cosines in zip(
            located.encoded.ids[0].tolist(), numbers.tolist(), best.tolist(), strict=True
        )
    ]


def _numbers(reading: EncoderReading) -> dict[str, Any]:
    states = [F.normalize(state_LD, dim=1) for state_LD in reading.states]
    return {
        "words": _packed(reading.words_LD),
        "positions": _packed(reading.positions_LD),
        "segments": _packed(reading.segments_LD),
        "embedded": _packed(reading.embedded_LD),
        "queries": [_packed(layer.queries_NLH) for layer in reading.layers],
        "keys": [_packed(layer.keys_NLH) for layer in reading.layers],
        "values": [_packed(layer.values_NLH) for layer in reading.layers],
        # How like each token's vector is to that of every token, before the first layer and after each.
        "likeness": [_packed(state_LD @ state_LD.T) for state_LD in states],
        # And to its own vector before the first layer.
        "kept": [_packed((state_LD * states[0]).sum(1)) for state_LD in states],
    }


def _packed(x: Tensor) -> str:
    """Numbers as base64 of little-endian float32: half as long as decimals, and exact."""
    return base64.b64encode(x.detach().cpu().contiguous().numpy().astype("<f4").tobytes()).decode("ascii")
