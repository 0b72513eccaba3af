"""Every engine's best setting, found by trying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engines.interface import Setting, Vectors
from engines.process import EngineProcess
from measured import compare, is_right

# Settings within this factor of the best are run once more: noise must not choose.
_CLOSE = 1.15
# Runs shorter than this are repeated, for they are cheap and noisy.
_SHORT_S = 0.5
_SHORT_REPEATS = 5


@dataclass(kw_only=True)
class Trials:
    """One engine, one workload, several settings.

    Attributes:
        engine: Is left with the setting that was tried last.
        workload: Its name.
        half: Whether every other text of it will do.
        reference: The right vectors of these texts.
    """

    engine: EngineProcess
    workload: str
    half: bool
    reference: Vectors
    seconds: dict[Setting, float] = field(default_factory=dict)
    cosines: dict[Setting, dict[str, float]] = field(default_factory=dict)

    def choose(self, variants: Sequence[str], shapes: Sequence[Setting]) -> Setting:
        """Try every variant with the first shape, then the other shapes with the best variant.

        Returns:
            The fastest of those whose vectors are right; if none are, the fastest.
        """
        for variant in variants:
            self._try(replace(shapes[0], variant=variant))
        variant = self._best().variant
        for shape in shapes[1:]:
            self._try(replace(shape, variant=variant))
        limit = self.seconds[self._best()] * _CLOSE
        close = [setting for setting, seconds in self.seconds.items() if seconds <= limit]
        if len(close) > 1:
            for setting in close:
                self._try(setting)
        return self._best()

    def record(self, num_tokens: int) -> list[dict[str, Any]]:
        """What was tried and what came of it."""
        return [
            {
                "setting": str(setting),
                "tokens_per_second": round(num_tokens / seconds, 1),
                "lowest_cosine": round(self.cosines[setting]["lowest"], 5),
            }
            for setting, seconds in self.seconds.items()
        ]

    def _try(self, setting: Setting) -> None:
        self.engine.use(setting)
        if setting not in self.cosines:
            # The first run prepares kernels for these shapes.
            first = self.engine.run(self.workload, half=self.half, keep=True)
            assert first.vectors is not None
            self.cosines[setting] = compare(first.vectors, self.reference)
        seconds = [self.engine.run(self.workload, half=self.half).seconds]
        if seconds[0] < _SHORT_S:
            seconds += [self.engine.run(self.workload, half=self.half).seconds for _ in range(_SHORT_REPEATS)]
        self.seconds[setting] = min([*seconds, self.seconds.get(setting, float("inf"))])

    def _best(self) -> Setting:
        return min(
            self.seconds, key=lambda setting: (not is_right(self.cosines[setting]), self.seconds[setting])
        )
