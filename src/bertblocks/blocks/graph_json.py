"""The JSON form of a graph: {"blocks": [{"name", "block", "inputs", "options"}, ...]}, read with care.

Each block names its inputs, so that branches can come later without a new format; today a graph is a chain.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bertblocks.blocks.blocks import ALL_BLOCKS, Block, TextInput, TokenIdsInput, block_names
from bertblocks.blocks.changed_options import changed_options
from bertblocks.blocks.field_types import nearest
from bertblocks.errors import GraphError

_KINDS = {kind.__name__: kind for kind in ALL_BLOCKS}
_KEYS = ("name", "block", "inputs", "options")
# A graph of ten blocks takes 2 kB: what is larger is another file.
_MOST_BYTES = 1_000_000


def blocks_to_json(blocks: Sequence[Block]) -> dict[str, Any]:
    """The JSON form of checked blocks; options at their default are left out."""
    return {
        "blocks": [
            {
                "name": name,
                "block": type(block).__name__,
                "inputs": inputs,
                "options": changed_options(block),
            }
            for (name, inputs), block in zip(_joints(blocks), blocks, strict=True)
        ]
    }


def blocks_from_json(data: Any) -> list[Block]:
    """The blocks of a JSON form; whether they can be joined is left to the graph.

    Raises:
        GraphError: If it is no JSON form of a chain; every problem at once.
    """
    entries = _entries(data)
    if problems := [text for index, entry in enumerate(entries) for text in _entry_problems(index, entry)]:
        raise _no_graph(problems)
    blocks: list[Block] = [_KINDS[entry["block"]](**entry["options"]) for entry in entries]
    if problems := list(_joint_problems(entries, blocks)):
        raise _no_graph(problems)
    return blocks


def read_graph_file(path: Path) -> Any:
    """The JSON value of a file.

    Raises:
        GraphError: If there is no such file, it is too large, or not JSON in UTF-8.
    """
    if not path.is_file():
        raise GraphError(f"{path} is no file; Graph.save writes one.")
    if (size := path.stat().st_size) > _MOST_BYTES:
        raise GraphError(f"{path} has {size:,} bytes, but a graph has at most {_MOST_BYTES:,}: not a graph.")
    try:
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_repeats)
    except RecursionError as error:
        raise GraphError(f"{path} is nested too deep to be a graph.") from error
    except ValueError as error:  # not UTF-8, not JSON, or a key twice
        raise GraphError(f"{path} is not a graph in JSON and UTF-8: {error}.") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key is repeated among {[key for key, _ in pairs]}")
    return found


def _no_graph(problems: Sequence[str]) -> GraphError:
    return GraphError("This is not the JSON form of a graph:\n" + "\n".join(f"- {text}" for text in problems))


def _entries(data: Any) -> list[Any]:
    if not isinstance(data, Mapping) or not isinstance(data.get("blocks"), list):
        raise _no_graph(['It should be an object {"blocks": [...]}, as Graph.to_json gives it.'])
    if unknown := sorted(map(str, set(data) - {"blocks"})):
        raise _no_graph([f"It has the one key 'blocks', but found also {unknown}: remove them."])
    return list(data["blocks"])


def _entry_problems(index: int, entry: Any) -> Iterator[str]:
    """What is wrong with one block's keys and options; types and ranges are left to the graph."""
    if not isinstance(entry, Mapping):
        yield f"Block {index} is {entry!r:.100}, but should be an object with the keys {list(_KEYS)}."
        return
    if missing := [key for key in _KEYS if key not in entry]:
        yield f"Block {index} lacks the keys {missing}."
    for key in entry:
        if key not in _KEYS:
            yield f"Block {index} has the unknown key {key!r}; its keys are {list(_KEYS)}" + (
                f"{nearest(key, _KEYS)}."
            )
    if missing:
        return
    kind = _KINDS.get(entry["block"]) if isinstance(entry["block"], str) else None
    if kind is None:
        yield (
            f"Block {index} is of the unknown kind {entry['block']!r:.100}; the blocks are "
            f"{', '.join(_KINDS)}{nearest(entry['block'], _KINDS)}."
        )
    elif not isinstance(entry["options"], Mapping):
        yield f"Block {index} ({kind.__name__}) has options that are no object: {entry['options']!r:.100}."
    else:
        yield from _option_problems(f"Block {index} ({kind.__name__})", kind, entry["options"])


def _option_problems(name: str, kind: type[Block], options: Mapping[str, Any]) -> Iterator[str]:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for option in options:
        if option not in fields:
            yield f"{name} has no option {option!r}; its options are {list(fields)}{nearest(option, fields)}."
    for option, field in fields.items():
        if field.default is dataclasses.MISSING and option not in options:
            yield f"{name} lacks the option {option!r}."


def _joints(blocks: Sequence[Block]) -> list[tuple[str, list[str]]]:
    """Each block's name, with the names of the blocks that it reads."""
    names = block_names(blocks)
    num_inputs = sum(isinstance(block, TextInput | TokenIdsInput) for block in blocks)
    sources = [[] if i < num_inputs else [names[i - 1]] for i in range(len(names))]
    if len(names) > num_inputs:
        sources[num_inputs] = names[:num_inputs]
    return list(zip(names, sources, strict=True))


def _joint_problems(entries: Sequence[Mapping[str, Any]], blocks: Sequence[Block]) -> Iterator[str]:
    """Names and inputs that are not those of a chain."""
    for index, (entry, (name, inputs)) in enumerate(zip(entries, _joints(blocks), strict=True)):
        if entry["name"] != name:
            yield f"Block {index} is named {entry['name']!r:.100}, but must be named {name!r}."
        if entry["inputs"] != inputs:
            yield (
                f"{name} has the inputs {entry['inputs']!r:.100}, but only chains can be read: "
                f"write {inputs}."
            )
