"""The sections of a model card on licence and use: what opens where, and what the others do not know."""

from __future__ import annotations

from collections.abc import Iterator

from bertblocks._version import __version__
from bertblocks.blocks import BertEncoder, GlobalAveragePooling1D, Task
from bertblocks.checkpoints import opens_as_sequence_classification
from bertblocks.evaluation.card_facts import CardFacts
from bertblocks.evaluation.card_sections import began_as
from bertblocks.evaluation.card_text import markdown

# Of more labels the numbers are read from bertblocks.json.
_MOST_NUMBERS = 12


_OWNERS = "Under which licence this model is given on is for its owner to say"


def licence_section(facts: CardFacts) -> list[str]:
    """Under which terms the weights are, as far as that is known."""
    origin = facts.model.encoder_origin
    if isinstance(facts.model.graph.encoder, BertEncoder):
        told = f"The weights began at random: no other model's licence applies to them. {_OWNERS}."
    elif origin is None or origin.licence is None:
        told = f"The licence of the encoder ({began_as(facts)}) is not known: nothing here states it."
    else:
        told = (
            f"The encoder's weights, from which this model was trained, are under "
            f"{markdown(origin.licence)}. {_OWNERS}; the head of this file repeats the encoder's."
        )
        if origin.name == "mini":
            told += (
                " Copyright (c) Microsoft Corporation; the text of the licence, which goes along with "
                "copies, lies in bertblocks beside mini's weights."
            )
    return ["## Licence of the weights", "", told, ""]


def usage_section(facts: CardFacts) -> list[str]:
    """How to ask the model: with bertblocks, and with transformers."""
    return [
        "## How to use it",
        "",
        f"MODEL stands for this folder. It was written by bertblocks {__version__}.",
        "",
        *_bertblocks(facts),
        *_transformers(facts),
    ]


def _bertblocks(facts: CardFacts) -> list[str]:
    if facts.model.tokenizer is None:
        command, row = "bertblocks predict MODEL table.jsonl --output answers.jsonl", "[1, 7, 4]"
    elif len(facts.model.columns) == 2:
        command = 'bertblocks predict MODEL --text "a text" --text-pair "another"'
        row = '("a text", "another")'
    else:
        command, row = 'bertblocks predict MODEL --text "a text"', '"a text"'
    names = [f"*{markdown(block.column)}*" for block in facts.model.graph.inputs]
    columns = f"column {names[0]}" if len(names) == 1 else f"columns {names[0]} and {names[1]}"
    has_labels = facts.model.task.kind != "regression"
    return [
        "With bertblocks:",
        "",
        "```sh",
        command,
        "```",
        "",
        "```python",
        "import bertblocks as bb",
        "",
        'model = bb.load("MODEL")',
        f"model.predict([{row}])",
        *([f"model.predict_proba([{row}])"] if has_labels else []),
        "```",
        "",
        f"A table needs the {columns}: `bertblocks predict MODEL table.csv --output answers.csv`."
        if facts.model.tokenizer is not None
        else f"The table needs lists of integers in the {columns}.",
        "",
    ]


def _transformers(facts: CardFacts) -> Iterator[str]:
    yield "With transformers:"
    yield ""
    if opens_as_sequence_classification(facts.model.graph):
        yield from _sequence_classification(facts)
        return
    yield (
        "`AutoModel` opens the encoder alone (`add_pooling_layer=False`: there is no pooler in it). The "
        "layers after it are in head.safetensors, which transformers does not read: it gives vectors and no "
        "answers."
    )
    yield ""
    if facts.model.tokenizer is not None:
        yield f"sentence-transformers opens the encoder with {_pooling(facts)}, without the layers after it."
        yield ""
    if facts.model.graph.tokenizer is not None and facts.model.graph.tokenizer.windows == "slide":
        yield "Both cut long texts; only bertblocks reads them in windows."
        yield ""


def _pooling(facts: CardFacts) -> str:
    graph = facts.model.graph
    if graph.encoder.output == "cls":
        return "the first token's vector"
    is_average = any(isinstance(block, GlobalAveragePooling1D) for block in graph.blocks)
    return "the average of the tokens' vectors" if is_average else "the maximum of the tokens' vectors"


def _sequence_classification(facts: CardFacts) -> Iterator[str]:
    yield "`AutoModelForSequenceClassification` opens it and gives the same logits, within rounding:"
    yield ""
    yield "```python"
    if _has_many_numbers(facts.model.task):
        yield "import json"
        yield ""
    yield "import torch"
    names = "AutoModelForSequenceClassification"
    yield f"from transformers import {names}{', AutoTokenizer' if facts.model.tokenizer else ''}"
    yield ""
    yield 'model = AutoModelForSequenceClassification.from_pretrained("MODEL").eval()'
    if facts.model.tokenizer is None:
        yield 'inputs = {"input_ids": torch.tensor([[1, 7, 4]])}'
    else:
        texts = '"a text", "another"' if len(facts.model.columns) == 2 else '"a text"'
        yield 'tokenizer = AutoTokenizer.from_pretrained("MODEL")'
        yield f'inputs = tokenizer({texts}, truncation=True, return_tensors="pt")'
    yield "with torch.no_grad():"
    yield "    logits = model(**inputs).logits"
    yield from _from_logits(facts.model.task)
    yield "```"
    yield ""
    yield "What follows the logits there is not in transformers, which reads config.json alone."
    yield ""


def _from_logits(task: Task) -> Iterator[str]:
    """Python that does with logits what bertblocks does."""
    if task.kind == "regression":
        yield f"number = logits * {task.target_scale!r} + {task.target_mean!r}"
        return
    if _has_many_numbers(task):
        yield 'with open("MODEL/bertblocks.json", encoding="utf-8") as file:'
        yield '    task = json.load(file)["task"]'
    divided = "logits"
    if task.temperatures:
        divided = f"(logits / torch.tensor({_numbers(task.temperatures, 'temperatures')}))"
    elif task.temperature != 1:
        divided = f"(logits / {task.temperature!r})"
    if task.kind != "multilabel":
        yield f"probabilities = {divided}.softmax(-1)"
        return
    yield f"probabilities = {divided}.sigmoid()"
    thresholds = f"torch.tensor({_numbers(task.thresholds, 'thresholds')})" if task.thresholds else "0.5"
    yield f"given = probabilities >= {thresholds}"


def _has_many_numbers(task: Task) -> bool:
    return max(len(task.temperatures), len(task.thresholds)) > _MOST_NUMBERS


def _numbers(values: tuple[float, ...], key: str) -> str:
    return repr(list(values)) if len(values) <= _MOST_NUMBERS else f'task["{key}"]'
