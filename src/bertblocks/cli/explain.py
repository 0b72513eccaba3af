"""bertblocks explain: a text → the words that made the model's answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bertblocks._words import counted
from bertblocks.cli.console import one_line, print_json, say, stdout
from bertblocks.cli.loading import loading
from bertblocks.cli.options import AsJson, Device, Encoding, ModelFolder
from bertblocks.cli.standard_input import stdin_lines
from bertblocks.errors import ConfigError, DataError

if TYPE_CHECKING:
    from bertblocks.assembly import AssembledModel
    from bertblocks.explanation import ExplainedWord, Explainer, Explanation

# explanation.Method again: importing it from there would load torch for --help. A test compares the two.
Method = Literal["integrated-gradients", "leave-one-out", "both", "gradient"]

_SHOWN_WORDS = 15
# Blue and orange are told apart by nearly everybody; the sign says the same.
_FOR, _AGAINST = "bold blue", "bold dark_orange3"
# Without a terminal rich takes 80 columns, and would break words over lines.
_UNBOUNDED_WIDTH = 10_000


def explain(
    model: ModelFolder,
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="The text.", show_default=False)] = None,
    text_pair: Annotated[str | None, typer.Option(help="The second text, for a model of pairs.")] = None,
    label: Annotated[
        str | None, typer.Option(help="The label to explain; the most probable one by default.")
    ] = None,
    method: Annotated[
        Method,
        typer.Option(
            help="integrated-gradients adds up to the answer; leave-one-out asks again without each word; "
            "gradient is the quickest and roughest."
        ),
    ] = "both",
    attention: Annotated[
        Path | None,
        typer.Option(
            help="Write a page (.html) that shows how the encoder reads the text, in its own numbers."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the explanation as a page (.html) or as data (.json).")
    ] = None,
    device: Device = "auto",
    encoding: Encoding = "utf-8",
    as_json: AsJson = False,
) -> None:
    """Say which words of a text made the model's answer.

    Without TEXT, each line of standard input is a text. Computed in float32, whatever the model predicts in.
    """
    _check_options(text, text_pair, attention, output)
    texts = _lines(encoding) if text is None else [text]
    if not any(line.strip() for line in texts):
        where = "Standard input" if text is None else "The TEXT"
        raise DataError(f"{where} is blank: there is nothing to explain.")
    with loading():
        # Imported where it is needed: --help should not wait for torch.
        from bertblocks.explanation import Explainer

        explainer = Explainer.load(model, device=device)
    inputs: list[Any] = list(texts)
    if explainer.model.tokenizer is None:
        inputs = [_token_ids(line) for line in texts]
    # Made first: a sentence that is too long for a page should not cost the explanation's time.
    page = None if attention is None else _attention_page(explainer, texts[0], text_pair)
    pairs = None if text_pair is None else [text_pair]
    found = explainer.explain(inputs, pairs, label=label, method=method)
    if as_json:
        for explanation in found:
            print_json(explanation.to_json(), compact=text is None)
    else:
        for number, explanation in enumerate(found):
            if number:
                print()
            _print_explanation(explanation, explainer.model, several=len(found) > 1)
    _write(output, _document(output, found))
    _write(attention, page)


def _check_options(
    text: str | None, text_pair: str | None, attention: Path | None, output: Path | None
) -> None:
    if output is not None and output.suffix.lower() not in (".html", ".json"):
        raise ConfigError(f"--output is {output}, but its name must end with .html or .json.")
    if attention is not None and attention.suffix.lower() != ".html":
        raise ConfigError(f"--attention is {attention}, but its name must end with .html.")
    if attention is not None and attention == output:
        raise ConfigError(f"--attention and --output are both {output}: give them two names.")
    if text is not None:
        return
    if text_pair is not None or attention is not None:
        name = "--text-pair" if text_pair is not None else "--attention"
        raise ConfigError(f"{name} goes with a TEXT, and there is none.")
    if sys.stdin.isatty():
        raise ConfigError("Give a TEXT, or texts on standard input, one a line.")


def _lines(encoding: str) -> list[str]:
    lines = list(stdin_lines(encoding))
    texts = [line for line in lines if line.strip()]
    if len(texts) < len(lines):
        say(f"{counted(len(lines) - len(texts), 'blank line was', 'blank lines were')} left out.")
    return texts


def _token_ids(line: str) -> list[int]:
    try:
        return [int(word) for word in line.split()]
    except ValueError:
        raise DataError(
            f"This model takes token ids: give whole numbers with spaces between them, not {line!r:.100}."
        ) from None


def _attention_page(explainer: Explainer, text: str, text_pair: str | None) -> str:
    from bertblocks.explanation import attention_page

    return attention_page(explainer.model, text, text_pair)


def _document(output: Path | None, found: Sequence[Explanation]) -> str | None:
    if output is None:
        return None
    if output.suffix.lower() == ".json":
        data: Any = [explanation.to_json() for explanation in found]
        return json.dumps(data[0] if len(data) == 1 else data, indent=1) + "\n"
    from bertblocks.explanation import explanations_page

    return explanations_page(found)


def _write(path: Path | None, content: str | None) -> None:
    from bertblocks._files import write_text_atomically

    if path is not None and content is not None:
        write_text_atomically(path, content)
        say(f"Written: {path}")


def _print_explanation(found: Explanation, model: AssembledModel, *, several: bool) -> None:
    from bertblocks.explanation import agreement_sentence, notes, residue_sentence, what_is_explained

    if several:
        stdout.print(one_line(found.text), style="bold")
    print(_answer(found, model))
    _print_words(found)
    sentences = [what_is_explained(found), residue_sentence(found), agreement_sentence(found), *notes(found)]
    for sentence in sentences:
        if sentence:
            print(one_line(sentence))


def _answer(found: Explanation, model: AssembledModel) -> str:
    from bertblocks.inference import rounded

    if isinstance(found.answer, float):
        return f"Answer: {rounded(model.task, found.answer, 4)}"
    given = found.answer if isinstance(found.answer, str) else ", ".join(found.answer) or "(none)"
    assert found.label is not None and found.probability is not None
    return f"Answer: {one_line(given)}; {one_line(found.label)} has a probability of {found.probability:.1%}"


def _print_words(found: Explanation) -> None:
    """The strongest words first: their shares with a sign, and in colour on a terminal."""
    from bertblocks.explanation import weight_of

    strongest = sorted(found.words, key=lambda word: -abs(weight_of(word) or 0.0))
    table = Table(box=None, pad_edge=False)
    table.add_column("word", overflow="fold")
    columns = {
        "attribution": found.method != "leave-one-out",
        "without it": found.method in ("leave-one-out", "both"),
    }
    for name, has in columns.items():
        if has:
            table.add_column(name, justify="right")
    for word in strongest[:_SHOWN_WORDS]:
        table.add_row(*_row(word))
    if strongest:
        console = stdout if stdout.is_terminal else Console(width=_UNBOUNDED_WIDTH, highlight=False)
        console.print(table)
    if len(strongest) > _SHOWN_WORDS:
        weaker = counted(len(strongest) - _SHOWN_WORDS, "weaker word")
        print(f"... and {weaker}; --output or --json has all.")


def _row(word: ExplainedWord) -> list[Text]:
    from bertblocks.explanation import weight_of

    style = _FOR if (weight_of(word) or 0.0) > 0 else _AGAINST
    name = one_line(word.text) + (" (second text)" if word.in_pair else "")
    numbers = [value for value in (word.attribution, word.leave_one_out) if value is not None]
    return [Text(name, style=style), *(Text(f"{value:+.3f}") for value in numbers)]
