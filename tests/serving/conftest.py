from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest
from local_server import LocalServer
from running_server import RunningServer

from bertblocks.blocks import Task
from bertblocks.serving.messages import Start
from bertblocks.serving.models import load
from tiny import tiny_model

ModelName = Literal["classes", "binary", "several", "number", "pairs", "windows", "encoder"]
TASKS: dict[str, Task] = {
    "classes": Task(kind="classification", labels=("bad", "colour", "good")),
    "binary": Task(kind="binary", labels=("no", "yes")),
    "several": Task(kind="multilabel", labels=("a", "b", "c"), thresholds=(0.3, 0.5, 0.7)),
    "number": Task(kind="regression", target_mean=3.0, target_scale=2.0),
    "pairs": Task(kind="classification", labels=("x", "y")),
    "windows": Task(kind="classification", labels=("bad", "colour", "good")),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "pairs": {"text_pair": "second"},
    "windows": {"windows": "slide"},
    "classes": {"target": "topic"},
}


@pytest.fixture(scope="session")
def folder(
    tiny_encoder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[ModelName], Path]:
    """Gives the folder of a tiny model by its name; read it, never change it."""

    @cache
    def folder_of(name: ModelName) -> Path:
        encoder = tiny_encoder("cased")
        if name == "encoder":
            return encoder
        path = tmp_path_factory.mktemp("models") / name
        tiny_model(encoder, TASKS[name], **OPTIONS.get(name, {})).save(path)
        return path

    return folder_of


@pytest.fixture(scope="session")
def served_model(folder: Callable[[ModelName], Path]) -> Callable[[ModelName], Any]:
    """Gives a model as a worker has it."""

    @cache
    def model_of(name: ModelName) -> Any:
        start = Start(str(folder(name)), "float32", "cpu", 1, None)
        return load(start, "float32", "for a test")

    return model_of


@pytest.fixture
def local(served_model: Callable[[ModelName], Any]) -> Iterator[Callable[..., LocalServer]]:
    """Makes a server without processes and sockets."""
    made: list[LocalServer] = []

    def make(name: ModelName, **options: Any) -> LocalServer:
        made.append(LocalServer(served_model(name), **options))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture(scope="session")
def classifier(folder: Callable[[ModelName], Path]) -> Iterator[RunningServer]:
    """A server of its own process; do not harm it."""
    with RunningServer(folder("classes"), "--timeout-s", 20) as server:
        yield server


@pytest.fixture(scope="session")
def embedder(folder: Callable[[ModelName], Path]) -> Iterator[RunningServer]:
    """The same with an encoder."""
    with RunningServer(folder("encoder")) as server:
        yield server
