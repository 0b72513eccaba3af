"""Whether what belongs together fits: vocabulary and weights, columns, the last layer and its target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bertblocks.blocks.blocks import (
    NAMED_VOCABULARY_SIZES,
    NAMED_WEIGHTS,
    BertEncoder,
    BertTokenizer,
    Block,
    Dense,
    Dropout,
    EnglishBertEncoder,
    MultilingualBertEncoder,
    PretrainedBertEncoder,
    Target,
    TextInput,
    TokenIdsInput,
    block_names,
)
from bertblocks.blocks.problems import Problem
from bertblocks.blocks.task import OutputActivation, TaskKind

EXPECTED_ACTIVATIONS: dict[TaskKind, OutputActivation] = {
    "classification": "softmax",
    "binary": "softmax",
    "multilabel": "sigmoid",
    "regression": "linear",
}

_OTHER_LANGUAGE = {
    MultilingualBertEncoder: {"english-uncased": "EnglishBertEncoder()"},
    EnglishBertEncoder: {
        "multilingual-cased": "MultilingualBertEncoder()",
        "mini": "MultilingualBertEncoder(weights='mini')",
    },
}
_UNITS: dict[TaskKind, tuple[int, str]] = {
    "binary": (2, "one for no and one for yes"),
    "regression": (1, "the number"),
}


def weights_problems(blocks: Sequence[Block]) -> Iterator[Problem]:
    """Whether tokenizer and encoder belong together, as far as names tell."""
    tokenizer = next((block for block in blocks if isinstance(block, BertTokenizer)), None)
    for index, (name, block) in enumerate(zip(block_names(blocks), blocks, strict=True)):
        if isinstance(block, BertEncoder):
            texts = _vocabulary_size_problems(name, block, tokenizer)
        elif isinstance(block, MultilingualBertEncoder | EnglishBertEncoder | PretrainedBertEncoder):
            texts = _pretrained_problems(name, block, tokenizer, blocks)
        else:
            continue
        yield from (Problem(index, text) for text in texts)


def _vocabulary_size_problems(
    name: str, block: BertEncoder, tokenizer: BertTokenizer | None
) -> Iterator[str]:
    needed = NAMED_VOCABULARY_SIZES.get(tokenizer.vocabulary, 0) if tokenizer else 0
    if tokenizer and block.vocabulary_size < needed:
        yield (
            f"{name} has vocabulary_size {block.vocabulary_size:,}, but BertTokenizer's "
            f"{tokenizer.vocabulary!r} gives {needed:,} ids, 0 to {needed - 1:,}: set "
            f"vocabulary_size={needed}."
        )


def _pretrained_problems(
    name: str,
    block: MultilingualBertEncoder | EnglishBertEncoder | PretrainedBertEncoder,
    tokenizer: BertTokenizer | None,
    blocks: Sequence[Block],
) -> Iterator[str]:
    if other := _OTHER_LANGUAGE.get(type(block), {}).get(block.weights):
        yield f"{name} cannot have the weights {block.weights!r}, which are of other languages: use {other}."
        return
    ids = next((source for source in blocks if isinstance(source, TokenIdsInput)), None)
    if tokenizer is None and ids and not isinstance(block, PretrainedBertEncoder):
        yield (
            f"{name} got ids from TokenIdsInput, but its weights know only their own vocabulary's: put "
            f"TextInput('column') and BertTokenizer(vocabulary={block.weights!r}) before it, or use "
            "BertEncoder(vocabulary_size=...), which learns any ids."
        )
    if tokenizer is not None and not _may_share(block, tokenizer.vocabulary):
        yield (
            f"{name} has the weights {block.weights!r}, but BertTokenizer has the vocabulary "
            f"{tokenizer.vocabulary!r}, whose ids mean other tokens: set vocabulary={block.weights!r} in "
            "BertTokenizer."
        )


def _may_share(
    block: MultilingualBertEncoder | EnglishBertEncoder | PretrainedBertEncoder, vocabulary: str
) -> bool:
    """Whether these weights may have been trained on this vocabulary; a folder may hold any."""
    if vocabulary == block.weights or vocabulary not in NAMED_WEIGHTS:
        return True
    return isinstance(block, PretrainedBertEncoder) and block.weights not in NAMED_WEIGHTS


def column_problems(blocks: Sequence[Block]) -> Iterator[Problem]:
    """A column stands for one thing: a target among the inputs would be learnt by reading it."""
    owners: dict[str, str] = {}
    for index, (name, block) in enumerate(zip(block_names(blocks), blocks, strict=True)):
        if isinstance(block, TextInput | TokenIdsInput | Target):
            owner = owners.setdefault(block.column, name)
            if owner != name:
                yield Problem(
                    index,
                    f"{name} takes the column {block.column!r}, but {owner} has it already: name another "
                    "column in one of them.",
                )


def last_dense_problems(blocks: Sequence[Block]) -> Iterator[Problem]:
    """Whether the last dense layer gives what the target needs."""
    if len(blocks) < 2 or not isinstance(blocks[-1], Target):
        return
    target, last, name = blocks[-1], blocks[-2], block_names(blocks)[-2]
    activation = EXPECTED_ACTIVATIONS[target.task]
    units, meaning = _UNITS.get(target.task, (2 if target.task == "classification" else 1, "one a class"))
    mend = f'Dense({units}, activation="{activation}")'
    if not isinstance(last, Dense):
        if last.gives in target.accepts:
            yield Problem(len(blocks) - 1, _no_dense(blocks, name, mend))
    elif target.task in _UNITS and last.units != units:
        yield Problem(
            len(blocks) - 2,
            f"{name} has {_units(last)}, but a {target.task} target needs {_units(Dense(units))}, {meaning}: "
            f"set {mend}.",
        )
    elif target.task == "classification" and last.units < units:
        yield Problem(
            len(blocks) - 2,
            f"{name} has {_units(last)}, but a classification target needs one a class, at least 2: set "
            f'{mend} for yes or no, or task="regression" in Target for a number.',
        )


def _units(dense: Dense) -> str:
    return f"{dense.units} unit" if dense.units == 1 else f"{dense.units} units"


def _no_dense(blocks: Sequence[Block], name: str, mend: str) -> str:
    got = f"Target got a vector from {name}, but reads the numbers of a Dense layer: "
    if isinstance(blocks[-2], Dropout) and isinstance(blocks[-3], Dense):
        return f"{got}move {name} before the last Dense."
    return f"{got}put {mend} before it, where a classification has one unit a class."


def activation_advice(blocks: Sequence[Block]) -> str | None:
    """What to say where the last dense layer names another activation than its target uses."""
    last, target, name = blocks[-2], blocks[-1], block_names(blocks)[-2]
    if not (isinstance(last, Dense) and isinstance(target, Target)):
        return None
    expected = EXPECTED_ACTIVATIONS[target.task]
    if last.activation == expected:
        return None
    return (
        f"{name} has activation={last.activation!r}, but a {target.task} target is trained and read with "
        f"{expected!r}, which is used: set activation={expected!r}."
    )
