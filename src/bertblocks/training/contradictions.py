"""Settings of a run that contradict each other, found before a table is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bertblocks.assembly.building import graph_pooling
from bertblocks.blocks import BertEncoder, BertTokenizer, Graph, TokenIdsInput

if TYPE_CHECKING:
    from bertblocks.training.table_run import TableRun

RANDOM = "random"
"""The name of an encoder that begins with random weights."""

SIZES = ("layers", "heads", "hidden_size", "intermediate_size")
"""Settings that shape an encoder of random weights."""

WINDOWS = ("windows", "stride", "window_pooling")
"""Settings of what becomes of a text that is too long, named as BertTokenizer's options."""


def contradictions(run: TableRun) -> Iterator[str]:
    """What cannot be together, each with its mend; nothing where all is well."""
    if run.graph is not None:
        yield from _graph_contradictions(run, graph_settings(run.graph))
        return
    yield from _input_contradictions(run)
    yield from _window_contradictions(run)
    yield from _random_contradictions(run) if run.encoder == RANDOM else _pretrained_contradictions(run)


def graph_settings(graph: Graph) -> dict[str, Any]:
    """Every setting of a run that its graph decides, with its value."""
    encoder, tokenizer = graph.encoder, graph.tokenizer
    columns = [block.column for block in graph.inputs]
    takes_ids = isinstance(graph.inputs[0], TokenIdsInput)
    is_random = isinstance(encoder, BertEncoder)
    return {
        "text": None if takes_ids else columns[0],
        "text_pair": columns[1] if len(columns) > 1 else None,
        "ids": columns[0] if takes_ids else None,
        "target": graph.target.column,
        "task": graph.target.task,
        "encoder": RANDOM if isinstance(encoder, BertEncoder) else encoder.weights,
        "vocabulary": tokenizer.vocabulary if tokenizer is not None and is_random else None,
        "vocabulary_size": encoder.vocabulary_size if isinstance(encoder, BertEncoder) else None,
        "layers": encoder.num_layers if isinstance(encoder, BertEncoder) else None,
        "heads": encoder.num_heads if isinstance(encoder, BertEncoder) else None,
        "hidden_size": encoder.hidden_size if isinstance(encoder, BertEncoder) else None,
        "intermediate_size": encoder.intermediate_size if isinstance(encoder, BertEncoder) else None,
        "pooling": graph_pooling(graph),
        "sequence_length": None if tokenizer is None else tokenizer.sequence_length,
        **{name: getattr(tokenizer or BertTokenizer, name) for name in WINDOWS},
        "freeze_encoder": not encoder.trainable,
    }


def _graph_contradictions(run: TableRun, decided: dict[str, Any]) -> Iterator[str]:
    for name, value in decided.items():
        given = getattr(run, name)
        if given != value:
            says = "has no such thing" if value is None else f"says {value!r}"
            yield f"{name} is {given!r}, but the graph decides it, and {says}: leave it out"


def _input_contradictions(run: TableRun) -> Iterator[str]:
    if run.text is None and run.ids is None:
        yield "neither text nor ids is given: name the column of texts, or that of token ids"
    if run.ids is None:
        return
    if run.text is not None:
        yield "text and ids are both given: a model takes texts or token ids"
    if run.text_pair is not None:
        yield "text_pair is given with ids: only texts make pairs"
    if run.sequence_length is not None:
        yield "sequence_length has no effect on ids, which are never cut: leave it out"
    if run.encoder != RANDOM:
        yield (
            f"encoder is {run.encoder!r}, which reads the ids of its own vocabulary; lists of integers go "
            f"into encoder={RANDOM!r}"
        )


def _window_contradictions(run: TableRun) -> Iterator[str]:
    if run.windows == "slide":
        if run.ids is not None:
            yield "windows='slide' has no effect on ids, which are never cut: leave it out"
        if run.text_pair is not None:
            yield (
                "windows='slide' is for single texts; of a pair either text might slide, so pairs are cut: "
                "leave one of the two out"
            )
        return
    for name in ("stride", "window_pooling"):
        if getattr(run, name) != getattr(BertTokenizer, name):
            yield f"{name} has no effect while texts are cut: set windows='slide' too, or leave it out"


def _random_contradictions(run: TableRun) -> Iterator[str]:
    if run.freeze_encoder:
        yield "freeze_encoder would keep random weights as they are: they must be trained"
    if run.ids is not None:
        if run.vocabulary is not None:
            yield "vocabulary has no effect on ids, which need no tokenizer: leave it out"
        if run.vocabulary_size is None:
            yield "ids are given without vocabulary_size, which is one more than the largest possible id"
        return
    if run.vocabulary is None:
        yield (
            f"encoder is {RANDOM!r}, which has no vocabulary of its own: name one with --vocabulary, such as "
            "'multilingual-cased', 'english-uncased' or a folder with a tokenizer"
        )
    if run.vocabulary_size is not None:
        yield "vocabulary_size has no effect on texts, whose vocabulary decides it: leave it out"


def _pretrained_contradictions(run: TableRun) -> Iterator[str]:
    own = [name for name in ("vocabulary", "vocabulary_size", *SIZES) if getattr(run, name) is not None]
    if own:
        yield (
            f"{', '.join(own)} cannot be chosen, since the encoder {run.encoder!r} brings its own: leave "
            f"out, or take encoder={RANDOM!r}"
        )
