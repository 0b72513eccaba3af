"""bertblocks convert: an encoder in any form → a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertblocks._words import counted
from bertblocks.cli.console import print_json, say
from bertblocks.cli.options import AsJson
from bertblocks.cli.sentences import casing_in_words

_SHOWN = 5


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder or zip as Google released it, a Hugging Face folder, or a name.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder to write.", show_default=False)],
    keep_heads: Annotated[
        bool, typer.Option("--keep-heads", help="Keep the heads that transformers has a class for.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Turn an encoder into a Hugging Face folder.

    Google's TF1 checkpoints are read without TensorFlow.
    """
    # Imported where it is needed: --help should not wait for torch.
    from bertblocks.assembly.conversion import convert
    from bertblocks.checkpoints.listing import listed

    done = convert(source, output, keep_heads=keep_heads)
    config, dropped = done.checkpoint.config, done.checkpoint.dropped
    facts = {
        "source": str(done.checkpoint.folder),
        "output": str(done.folder),
        "layers": config.num_hidden_layers,
        "hidden_size": config.hidden_size,
        "pooler": done.checkpoint.pooler is not None,
        "vocabulary_size": done.tokenizer.vocabulary_size,
        "casing": done.tokenizer.casing,
        "kept_heads": list(done.checkpoint.head),
        "head_class": done.head_class,
        "dropped": list(dropped),
    }
    if as_json:
        print_json(facts)
        return
    print(
        f"{done.folder}: {counted(config.num_hidden_layers, 'layer')}, {config.hidden_size} wide, "
        f"{done.tokenizer.vocabulary_size:,} tokens ({casing_in_words(done.tokenizer)})"
    )
    if dropped:
        say(f"Left out, as they belong to no encoder: {listed(dropped, _SHOWN)}.")
    opens = done.head_class or "AutoModel"
    say(f"It opens in transformers ({opens}), and here wherever an encoder is named.")
