"""What of a `tokenizer.json` is checked here, before its parts are read and the library is given it.

The file may come from anywhere, and it is a program: its normalizer may lengthen a text at every step, and
its patterns are searched by backtracking, which may take for ever. So its types are checked, a text may grow
by a bounded factor, and patterns must be of a form that is searched in linear time.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bertblocks._foreign_files import TOKENIZER_LIMIT, parse_json_object, read_file
from bertblocks.errors import CheckpointError

_NUM_SHOWN = 5
_LARGEST_ID = 2**31 - 1
_LARGEST_GROWTH = 64
_LONGEST_WORD = 1000  # WordPiece takes quadratic time in it
_LONGEST_REPLACEMENT_BYTES = 128
"""Of a SentencePiece normalizer; NFKC's longest has 33 bytes."""

# What is searched in linear time: up to 20 alternatives, each of single characters and classes of which only
# the last may be repeated. At any place such a search fails after as many characters as the pattern is long,
# or goes on behind what it found. None may match nothing: a replacement would stand before every character.
_ATOM = (
    r"(?:[^\\\[\](){}*+?|^$]"
    r"|\\(?:[sSdDwWhHnrtfvae0RNO]|[^A-Za-z0-9]|[pP]\{\^?\w+\}|x\{[0-9A-Fa-f]{1,8}\}|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})"
    r"|\[\^?(?:[^\\\[\]]|\\[^1-9])+\])"
)
_SOME = r"(?:\+|\{[1-9]\d?(?:,\d{0,2})?\})"
_ANY = r"(?:[*?]|\{\d{1,2}(?:,\d{0,2})?\})"
_SEQUENCE = rf"(?:{_ATOM}{{0,10}}{_ATOM}(?:{_SOME}|{_ATOM}{_ANY})?)"
_ALTERNATIVES = rf"{_SEQUENCE}(?:\|{_SEQUENCE}){{0,19}}"
_LINEAR = re.compile(rf"{_ALTERNATIVES}|\((?:\?:)?{_ALTERNATIVES}\)")


def read_tokenizer_json(path: Path) -> dict[str, Any]:
    """Read a `tokenizer.json`, and check as much of it as the library does not.

    Raises:
        CheckpointError: If it cannot be read, or a part has another type than it should, or may take
            unbounded time or memory; every problem at once.
    """
    definition = parse_json_object(read_file(path, limit=TOKENIZER_LIMIT), str(path))
    _name_model_type(definition.get("model"))
    _check(definition, path)
    return definition


def check_word_length(definition: Mapping[str, Any], path: Path) -> None:
    """Refuse a WordPiece model that cuts longer words into pieces than can be done in bounded time.

    Raises:
        CheckpointError: If words may have more than 1,000 characters.
    """
    longest = definition["model"].get("max_input_chars_per_word", 0)
    if longest > _LONGEST_WORD:
        raise CheckpointError(
            f"{path}: its max_input_chars_per_word is {longest:,}, expected at most {_LONGEST_WORD:,}, as "
            f"WordPiece takes quadratic time in it. Set it to {_LONGEST_WORD:,} if your texts have no longer "
            "words, which would then be unknown; else split the texts into shorter words."
        )


def _name_model_type(model: Any) -> None:
    """Write the type into a model that lacks it, as in files of tokenizers < 0.9, by the library's rule."""
    if not isinstance(model, dict) or model.get("type") is not None:
        return
    if isinstance(model.get("vocab"), list):
        model["type"] = "Unigram"
    elif "merges" in model:
        model["type"] = "BPE"
    else:
        model["type"] = "WordPiece" if "max_input_chars_per_word" in model else "WordLevel"


def _check(definition: Mapping[str, Any], path: Path) -> None:
    problems = [
        *_part_problems(definition),
        *_added_problems(definition.get("added_tokens")),
        *_model_problems(definition.get("model")),
    ]
    # Deeper checks rely on the types above.
    problems = problems or [*_template_problems(definition), *_step_problems(definition)]
    if problems:
        more = f"; and {len(problems) - _NUM_SHOWN:,} more" if len(problems) > _NUM_SHOWN else ""
        raise CheckpointError(f"{path}: {'; '.join(problems[:_NUM_SHOWN])}{more}. Save the tokenizer again.")


def _part_problems(definition: Mapping[str, Any]) -> Iterator[str]:
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        if not isinstance(definition.get(part), dict | None):
            yield f"its {part} is {definition[part]!r:.50}, expected an object"


def _added_problems(added: Any) -> Iterator[str]:
    if not isinstance(added, list | None):
        yield f"its added_tokens are {added!r:.50}, expected a list"
        return
    for token in added or ():
        if not isinstance(token, dict) or not {"id", "content", "special"} <= token.keys():
            yield f"its added_tokens lack id, content or special: {token!r:.50}"
        elif not (_is_token(token["content"]) and _is_id(token["id"]) and type(token["special"]) is bool):
            yield f"its added token {token!r:.100} is none"


def _model_problems(model: Any) -> Iterator[str]:
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(vocabulary, dict | list) or not vocabulary:
        yield "has no model with a vocabulary"
        return
    if isinstance(vocabulary, dict):
        bad = (f"{t!r:.50}: {i!r:.50}" for t, i in vocabulary.items() if not (_is_token(t) and _is_id(i)))
    else:
        bad = (f"{entry!r:.50}" for entry in vocabulary if not _is_piece(entry))
    yield from (f"its vocabulary holds {entry}, which is no token" for entry in bad)
    if isinstance(vocabulary, list) != (model.get("type") == "Unigram"):
        yield f"its model {model.get('type')!r:.50} has a vocabulary of another kind"
    if not isinstance(model.get("unk_token"), str | None):
        yield f"its unk_token is {model['unk_token']!r:.50}, expected a text"
    unknown = model.get("unk_id")
    if unknown is not None and not (_is_id(unknown) and unknown < len(vocabulary)):
        yield f"its unk_id is {unknown!r:.50}, expected one of the {len(vocabulary):,} ids"
    longest = model.get("max_input_chars_per_word", 0)
    if not _is_id(longest):
        yield f"its max_input_chars_per_word is {longest!r:.50}, expected a number of characters"


def _is_token(value: Any) -> bool:
    # NUL is taken out of every text, and marks hidden tokens.
    return isinstance(value, str) and "\0" not in value


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST_ID


def _is_piece(value: Any) -> bool:
    return (
        isinstance(value, list) and len(value) == 2 and _is_token(value[0]) and type(value[1]) in (int, float)
    )


def _template_problems(definition: Mapping[str, Any]) -> Iterator[str]:
    """Whether the post-processor has the form in which it is compared with BERT's."""
    post_processor = definition.get("post_processor") or {}
    for part in ("single", "pair"):
        items = post_processor.get(part)
        if items is None or post_processor.get("type") != "TemplateProcessing":
            continue
        if not isinstance(items, list) or not all(_is_place(item) for item in items):
            yield f"its post_processor's {part} is {items!r:.100}, expected a list of tokens"
    if post_processor.get("type") in ("BertProcessing", "RobertaProcessing"):
        for part in ("cls", "sep"):
            end = post_processor.get(part)
            if not (isinstance(end, list) and len(end) == 2 and _is_token(end[0]) and _is_id(end[1])):
                yield f"its post_processor's {part} is {end!r:.100}, expected a token and its id"


def _is_place(item: Any) -> bool:
    return isinstance(item, dict) and all(isinstance(place, dict) for place in item.values())


def _step_problems(definition: Mapping[str, Any]) -> Iterator[str]:
    """What may take unbounded time or memory."""
    growth = 1.0
    for part in ("normalizer", "pre_tokenizer"):
        for step in _steps(definition.get(part)):
            yield from _pattern_problems(part, step)
            growth *= _growth(step)
    if growth > _LARGEST_GROWTH:
        yield f"its normalizer may make texts {growth:,.0f} times longer, expected at most {_LARGEST_GROWTH}"
    charts = [step for step in _steps(definition.get("normalizer")) if step.get("type") == "Precompiled"]
    if len(charts) > 1:
        yield f"its normalizer has {len(charts)} Precompiled steps, expected one"
    elif charts and (problem := _chart_problem(charts[0].get("precompiled_charsmap"))):
        yield f"its Precompiled normalizer {problem}"


def _steps(part: Any) -> list[dict[str, Any]]:
    """The steps of a normalizer or pre-tokenizer, those of nested sequences included."""
    if not isinstance(part, dict):
        return []
    inner = [part.get("normalizers"), part.get("pretokenizers")]
    nested = [step for steps in inner if isinstance(steps, list) for item in steps for step in _steps(item)]
    return [part, *nested]


def _pattern_problems(part: str, step: Mapping[str, Any]) -> Iterator[str]:
    pattern = step.get("pattern")
    regex = pattern.get("Regex") if isinstance(pattern, dict) else None
    if regex is not None and not (isinstance(regex, str) and _LINEAR.fullmatch(regex)):
        yield (
            f"its {part} has the pattern {regex!r:.100}, which may take very long on some texts, or match "
            "nothing: expected up to 20 alternatives of characters and classes, of which only the last is "
            "repeated, such as ' {2,}|[\\r\\n]'"
        )


def _growth(step: Mapping[str, Any]) -> float:
    """By which factor a step may lengthen a text of one character or more."""
    if step.get("type") == "Prepend":
        return 1.0 + len(str(step.get("prepend")))
    if step.get("type") != "Replace":
        return 1.0
    pattern = step.get("pattern")
    replaced = pattern.get("String") if isinstance(pattern, dict) else None
    shortest = len(replaced) if isinstance(replaced, str) and replaced else 1
    # An empty pattern matches before every character and leaves it there.
    kept = 1 if replaced == "" else 0
    return max(1.0, kept + len(str(step.get("content"))) / shortest)


def _chart_problem(chart: Any) -> str | None:
    """Whether a SentencePiece chart has a replacement of improbable length.

    The chart is a trie, its size in 4 bytes before it, and behind it the replacements, ended by NUL.
    """
    try:
        content = base64.b64decode(chart, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return "is not in base64"
    trie = int.from_bytes(content[:4], "little")
    if len(content) < 4 or trie % 4 or trie > len(content) - 4:
        return "is cut"
    longest = max(map(len, content[4 + trie :].split(b"\0")))
    if longest > _LONGEST_REPLACEMENT_BYTES:
        return f"puts {longest:,} bytes for one character, expected at most {_LONGEST_REPLACEMENT_BYTES}"
    return None
