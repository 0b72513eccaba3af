"""bertblocks serve: a model over HTTP, with a page to try it on."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bertblocks._words import counted
from bertblocks.cli.console import complain, say
from bertblocks.cli.options import Device, Precision

if TYPE_CHECKING:
    from bertblocks.serving import ModelFacts


def serve(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Folder of a trained model, or its zip; or an encoder, which gives vectors.",
            show_default=False,
        ),
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen at; by default only this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8080,
    token: Annotated[
        str | None,
        typer.Option(
            help="Who asks must have it. Others see it in the list of processes: rather use --token-file, or "
            "BERTBLOCKS_TOKENS with commas between several."
        ),
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with a token a line.")] = None,
    threads: Annotated[int | None, typer.Option(help="Of the encoder; one a core by default.")] = None,
    precision: Annotated[
        Precision,
        typer.Option(help="auto takes int8 where it answers a hundred texts as the exact precision does."),
    ] = "auto",
    device: Device = "auto",
    concurrent_requests: Annotated[int, typer.Option(help="More are told to come back (429).")] = 512,
    texts_per_request: Annotated[int, typer.Option(help="Texts of a request.")] = 1024,
    text_characters: Annotated[int, typer.Option(help="Characters of a text.")] = 100_000,
    body_bytes: Annotated[int, typer.Option(help="Bytes of a request.")] = 2_000_000,
    batch_tokens: Annotated[
        int | None, typer.Option(help="Most tokens of a batch; what suits the device by default.")
    ] = None,
    timeout_s: Annotated[float, typer.Option(help="Seconds to an answer.")] = 60.0,
    drain_s: Annotated[
        float, typer.Option(help="Seconds to finish what was accepted when told to stop.")
    ] = 30.0,
    worker_s: Annotated[
        float, typer.Option(help="Seconds without an answer after which the worker is started anew.")
    ] = 60.0,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="Website whose pages may ask; can be given several times.")
    ] = None,
    access_log: Annotated[bool, typer.Option(help="Log every request.")] = True,
) -> None:
    """Serve a model over HTTP, with a page to try it on.

    It speaks text-embeddings-inference's routes, OpenAI's embeddings and the deployment API of old.
    """
    # Imported where it is needed: --help should not wait for it.
    from bertblocks.serving import Limits, ServerSettings, read_tokens
    from bertblocks.serving import serve as run

    settings = ServerSettings(
        model=model,
        host=host,
        port=port,
        tokens=read_tokens(token, token_file, os.environ),
        precision=precision,
        device=device,
        threads=threads,
        allow_origins=tuple(allow_origin or ()),
        access_log=access_log,
        limits=Limits(
            concurrent_requests=concurrent_requests,
            texts_per_request=texts_per_request,
            text_characters=text_characters,
            body_bytes=body_bytes,
            held_bytes=max(Limits.held_bytes, body_bytes),
            timeout_s=timeout_s,
            drain_s=drain_s,
            worker_s=worker_s,
            batch_tokens=batch_tokens,
        ),
    )
    if not settings.tokens and not _is_loopback(host):
        complain(
            f"whoever reaches {host} can ask this server, since no token is asked for. Give a --token-file, "
            "or leave --host out.",
            kind="warning",
        )
    say("Loading the model ...")
    run(settings, _tell)


def _tell(facts: ModelFacts, address: str) -> None:
    answers = f"vectors of {facts.hidden_size} numbers"
    if not facts.gives_vectors:
        labels = f", {counted(len(facts.labels), 'label')}" if facts.labels else ""
        answers = f"{facts.target} ({facts.task}{labels})"
    say(
        f"{facts.name}: {answers}; {facts.precision} ({facts.precision_reason}), "
        f"{counted(facts.num_lanes, 'batch', 'batches')} at a time."
    )
    print(address, flush=True)
    say("Open this address in a browser to try it. Ctrl-C stops the server.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
