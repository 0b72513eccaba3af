"""Texts → explanations of what a model answers to them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from bertblocks.assembly import AssembledModel, default_batch_tokens, load_model, run_packed
from bertblocks.data import ModelInput, as_text
from bertblocks.encoder import resolve_device
from bertblocks.errors import ConfigError
from bertblocks.explanation.baselines import baseline_vector, chosen_baseline
from bertblocks.explanation.explanations import Baseline, ExplainedWord, Explanation, Method
from bertblocks.explanation.integrated_gradients import TokenAttributions, gradient_only, integrate
from bertblocks.explanation.leave_one_out import leave_one_out
from bertblocks.explanation.outputs import chosen_columns, explained_outputs, probability_of, unit_of
from bertblocks.explanation.path_gradients import PathGradients
from bertblocks.explanation.path_integral import FEWEST_POINTS
from bertblocks.explanation.rows import located_ids
from bertblocks.inference import Answer, Predictor, answers, check_columns, model_folder, scores_from_logits
from bertblocks.text import NO_WORD, Encoded, LocatedText, locate

Item = TypeVar("Item")

_TEXTS_AT_ONCE = 64


class Explainer:
    """Says which words of a text made a model's answer.

    Three ways, which can be compared:

    - "integrated-gradients": what each word adds on the way from a text of empty words to this one. The sum
      is the difference of the two outputs; how far it misses that is measured and told. Takes some 30
      gradients a text.
    - "leave-one-out": how far the output falls without each word. Takes one prediction a word, needs no
      gradients, and works in every precision.
    - "gradient": the first way with one point in place of 30, the cheapest. Its sum may miss by far.

    "both" are the first two, and how well they agree.

    Args:
        model: A model in float32, or a Predictor. One that was prepared for another precision or for kernels
            has no gradients, and can leave words out.
        baseline: The word vector that stands in the place of every word at the beginning: that of the padding
            token, of the mask, or the mean of all. None takes "pad", or "mean" where there is none.
        tolerance: Share of the difference of the outputs that may be missing from the sum; added up over the
            pieces of the way, so that errors cannot hide behind each other.
        max_steps: Points of the way at which a gradient is taken, at most; 9 or more.
        batch_tokens: Most tokens that go through the encoder at once; None is what suits the device.

    Raises:
        ConfigError: If a setting cannot be.
    """

    def __init__(
        self,
        model: AssembledModel | Predictor,
        *,
        baseline: Baseline | None = None,
        tolerance: float = 0.01,
        max_steps: int = 129,
        batch_tokens: int | None = None,
    ) -> None:
        if not tolerance > 0:
            raise ConfigError(f"tolerance is {tolerance}, but must be above 0: 0.01, for instance.")
        if max_steps < FEWEST_POINTS:
            raise ConfigError(f"max_steps is {max_steps}, but must be {FEWEST_POINTS} or more.")
        self._model = model.model if isinstance(model, Predictor) else model
        self._baseline = chosen_baseline(self._model, baseline)
        self._tolerance = tolerance
        self._max_steps = max_steps
        module = self._model.module.eval()
        self._device = module.encoder.embeddings.word.weight.device
        self._batch_tokens = default_batch_tokens(self._device) if batch_tokens is None else batch_tokens
        self._logits_of = (
            model.logits
            if isinstance(model, Predictor)
            else partial(
                run_packed, module, batch_tokens=self._batch_tokens, device=self._device, deduplicate=True
            )
        )

    @classmethod
    def load(cls, folder: str | os.PathLike[str], *, device: str = "auto") -> Explainer:
        """Load a model folder, or the zip of one, in float32.

        Args:
            folder: The model's.
            device: "auto" takes CUDA where there is one.

        Raises:
            CheckpointError: If the folder is not a finished model.
        """
        model = load_model(model_folder(folder))
        model.module.to(resolve_device(device))
        return cls(model)

    @property
    def model(self) -> AssembledModel:
        """The model that is explained."""
        return self._model

    def explain(
        self,
        texts: Sequence[ModelInput],
        pairs: Sequence[str] | None = None,
        *,
        label: str | Sequence[str] | None = None,
        method: Method = "both",
    ) -> list[Explanation]:
        """Explain the answer to every text, or pair of texts.

        Args:
            texts: Texts, or the first ones of pairs; lists of integers for a model of token ids.
            pairs: The second ones, for a model with two text inputs.
            label: The label whose probability is explained, or one for each text; None is the most probable.
            method: How, as the class says.

        Raises:
            DataError: If an item is no text or list of ids, or pairs are missing or too many.
            ConfigError: If there is no such label or method, or the model has no gradients.
        """
        if method not in get_args(Method):
            raise ConfigError(f"method is {method!r}, but must be one of {', '.join(get_args(Method))}.")
        check_columns(self._model, pairs)
        if method != "leave-one-out":
            self._check_gradients()
        first, second = _listed(texts), None if pairs is None else _listed(pairs)
        encoded = self._model.encode(first, second)
        if not len(encoded):
            return []
        logits = self._logits_of(encoded)
        columns = chosen_columns(self._model.task, logits, label)
        is_text = self._model.tokenizer is not None
        explanations: list[Explanation] = []
        for start in range(0, len(first), _TEXTS_AT_ONCE):
            rows = range(start, min(start + _TEXTS_AT_ONCE, len(first)))
            located = [self._locate(first, second, encoded, row) for row in rows]
            chosen = slice(rows.start, rows.stop)
            group = _Group(
                # Ids are lists or arrays; as arrays they are spelled alike.
                shown=[as_text(first[row] if is_text else encoded.ids[row]) for row in rows],
                pairs=None if second is None else list(second[chosen]),
                located=located,
                logits=logits[chosen],
                columns=columns[chosen],
            )
            explanations += self._explain(group, method)
        return explanations

    def _locate(
        self, texts: Sequence[ModelInput], pairs: Sequence[str] | None, encoded: Encoded, row: int
    ) -> LocatedText:
        tokenizer = self._model.tokenizer
        if tokenizer is not None:
            return locate(tokenizer, cast(str, texts[row]), None if pairs is None else pairs[row])
        own = Encoded(
            ids=encoded.ids[row : row + 1],
            num_first=encoded.num_first[row : row + 1],
            num_tokens=encoded.num_tokens[row : row + 1],
            truncated=encoded.truncated[row : row + 1],
            num_unknown=encoded.num_unknown[row : row + 1],
        )
        return located_ids(own, as_text(encoded.ids[row]))

    def _explain(self, group: _Group, method: Method) -> list[Explanation]:
        task = self._model.task
        outputs = explained_outputs(task, group.logits, group.columns)
        num_texts = len(group.located)
        by_gradient: Sequence[TokenAttributions | None] = [None] * num_texts
        by_leaving: Sequence[NDArray[np.float64] | None] = [None] * num_texts
        if method != "leave-one-out":
            by_gradient = self._gradients(group, method)
        if method in ("leave-one-out", "both"):
            by_leaving = leave_one_out(self._logits_of, task, group.located, group.columns, outputs)
        given = answers(task, scores_from_logits(task, group.logits))
        return [
            self._explanation(group, index, given[index], outputs[index], method, gradient, leaving)
            for index, (gradient, leaving) in enumerate(zip(by_gradient, by_leaving, strict=True))
        ]

    def _gradients(self, group: _Group, method: Method) -> list[TokenAttributions]:
        task = self._model.task
        gradients = PathGradients(
            self._model.module,
            task,
            baseline_vector(self._model, self._baseline),
            group.located,
            group.columns,
            self._batch_tokens,
        )
        if method == "gradient":
            return gradient_only(gradients, len(group.located))
        return integrate(
            gradients,
            len(group.located),
            tolerance=self._tolerance,
            # Log-odds of 1, or one standard deviation of the targets.
            least=task.target_scale,
            max_points=self._max_steps,
        )

    def _explanation(
        self,
        group: _Group,
        index: int,
        answer: Answer,
        output: float,
        method: Method,
        gradient: TokenAttributions | None,
        leaving: NDArray[np.float64] | None,
    ) -> Explanation:
        located, task = group.located[index], self._model.task
        attributions = None if gradient is None else _by_word(located, gradient.per_token)
        # The gradients' own pass gives it once more, with the rounding that their sum is compared with.
        output = float(output if gradient is None else gradient.output)
        return Explanation(
            text=group.shown[index],
            pair=None if group.pairs is None else group.pairs[index],
            answer=answer,
            label=task.labels[group.columns[index]] if task.labels else None,
            probability=probability_of(task, output),
            output=output,
            unit=unit_of(task),
            words=tuple(
                ExplainedWord(
                    text=word.text,
                    start=word.start,
                    end=word.end,
                    in_pair=word.in_pair,
                    attribution=None if attributions is None else float(attributions[number]),
                    leave_one_out=None if leaving is None else float(leaving[number]),
                )
                for number, word in enumerate(located.words)
            ),
            method=method,
            truncated=bool(located.encoded.truncated[0]),
            num_tokens=int(located.encoded.num_tokens[0]),
            baseline=None if gradient is None else self._baseline,
            baseline_output=None if gradient is None else gradient.baseline_output,
            attributed=None if gradient is None else float(gradient.per_token.sum()),
            residue=None if gradient is None else gradient.residue,
            steps=None if gradient is None else gradient.num_points,
            is_complete=None if gradient is None else gradient.is_complete,
        )

    def _check_gradients(self) -> None:
        encoder = self._model.module.encoder
        dtype = encoder.embeddings.word.weight.dtype
        if encoder.kernels is not None or dtype != torch.float32:
            found = f"{dtype}".removeprefix("torch.")
            raise ConfigError(
                f"Gradients need the model's own float32 weights, and this one was prepared to answer in "
                f"{found}, by {encoder.kernels or 'plain'} kernels. Take method='leave-one-out', or "
                "Explainer.load(folder)."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Group:
    """Texts that are explained together: as people see them, as the encoder does, and what was answered."""

    shown: list[str]
    pairs: list[str] | None
    located: list[LocatedText]
    logits: NDArray[np.float32]
    columns: NDArray[np.int64]


def _listed(column: Sequence[Item]) -> Sequence[Item]:
    """Values that can be gone through twice; what is no column is left for encode to refuse."""
    is_column = isinstance(column, Iterable) and not isinstance(column, str | bytes)
    return list(column) if is_column else column


def _by_word(located: LocatedText, per_token: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum over the tokens of each word."""
    has_word = located.word_of_token != NO_WORD
    numbers, gains = located.word_of_token[has_word], per_token[has_word]
    return np.bincount(numbers, gains, minlength=len(located.words)).astype(np.float64)
