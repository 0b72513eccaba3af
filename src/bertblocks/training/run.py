"""Labelled texts + a graph → a trained model: the one way that the command line and the estimators share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bertblocks.assembly import AssembledModel, assemble
from bertblocks.blocks import BertEncoder, BertPooler, Graph, Task
from bertblocks.data import check_weights, chosen_class_weights, class_weights_in_loss, mean_one
from bertblocks.encoder import choose_training_precision, resolve_device
from bertblocks.errors import ConfigError, GraphError
from bertblocks.text import Encoded
from bertblocks.training.events import Listener, Outcome, TokensCounted, ignore
from bertblocks.training.frozen_vectors import VECTORS, frozen_vectors
from bertblocks.training.loop import Fit
from bertblocks.training.optimizer import build_optimizer, decay_over
from bertblocks.training.processes import ALONE, Processes
from bertblocks.training.rows import LabeledTexts
from bertblocks.training.settings import TrainingSettings
from bertblocks.training.sources import (
    Standardizer,
    StepSource,
    TextSource,
    VectorSource,
    text_steps,
    token_lengths,
    vector_steps,
)
from bertblocks.training.used_words import UsedWords
from bertblocks.training.validation import Validation


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedModel:
    """What a run gives.

    Attributes:
        model: With the best epoch's weights, in evaluation mode, float32, on the CPU. Its task has the
            temperatures, and of several labels the thresholds, that suit the validation rows best.
        settings: As they were resolved.
        outcome: Whether all epochs were done.
        train_encoded: Tokenized training texts, with what was cut and unknown.
    """

    model: AssembledModel
    settings: TrainingSettings
    outcome: Outcome
    train_encoded: Encoded


def train_model(
    graph: Graph,
    task: Task,
    train: LabeledTexts,
    validation: LabeledTexts | None,
    settings: TrainingSettings,
    *,
    work: Path | None = None,
    resume: bool = False,
    on_event: Listener = ignore,
    processes: Processes = ALONE,
) -> TrainedModel:
    """Train a graph on labelled texts.

    On a CPU the same seed, rows, settings and thread count give the same weights on the same machine, to the
    bit, whether or not the run was interrupted. torch's global random state is left as it was.

    Args:
        graph: The model; its encoder block says whether it is trained or frozen.
        task: What is predicted.
        train: Rows to learn from.
        validation: Rows to choose the best epoch by; None keeps the last one.
        settings: None among them means the default for this encoder.
        work: Folder for checkpoints; None keeps everything in memory.
        resume: Go on from the work folder's last checkpoint.
        on_event: Told of every step and epoch.
        processes: Those that train together, each with the same rows; only the first has a work folder. The
            model is the same in all of them.

    Raises:
        GraphError: If graph, task and tokenizer do not fit together, or every block is frozen.
        CheckpointError: If weights cannot be found or read.
        DataError: If rows cannot be used.
        ConfigError: If the task has no such metric or class weights, at once; or if training diverges.
    """
    settings.check_task(task.kind, has_validation=validation is not None)
    _check_trainable(graph)
    if isinstance(settings.class_weight, Mapping):
        chosen_class_weights(settings.class_weight, task)
    if train.weights is not None:
        check_weights(train.weights, name="The training rows")
    device = resolve_device(settings.device)
    # manual_seed reaches every GPU, so the state of each is put back.
    gpus = list(range(torch.cuda.device_count())) if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(settings.seed)
        model = assemble(graph, task)
        processes.same_weights(model.module)
        processes.check_same("rows", train.fingerprint() if processes.count > 1 else None)
        processes.draw_apart(settings.seed)
        rows = _Rows.encode(model, train, validation)
        lengths = token_lengths(rows.train_encoded)
        on_event(
            TokensCounted(num_texts=len(lengths), num_tokens=int(lengths.sum()), longest=int(lengths.max()))
        )
        trainable = graph.encoder.trainable
        settings = settings.resolved(
            model.module.encoder.config,
            task.kind,
            trainable=trainable,
            steps_per_epoch=_steps_per_epoch(rows.train_encoded, settings, trainable=trainable),
            from_scratch=isinstance(graph.encoder, BertEncoder),
        )
        context = _Context(
            model=model,
            settings=settings,
            device=device,
            precision=processes.told(choose_training_precision(settings.precision, device)),
            work=work,
            resume=resume,
            on_event=on_event,
            processes=processes,
        )
        model.module.to(device)
        fitted = (_fit_text if trainable else _fit_head)(context, rows)
        model.module.to("cpu").eval()
    return TrainedModel(
        model=replace(model, task=fitted.task),
        settings=settings,
        outcome=fitted.outcome,
        train_encoded=rows.train_encoded,
    )


def _check_trainable(graph: Graph) -> None:
    if any(getattr(block, "trainable", False) for block in graph.blocks):
        return
    raise GraphError(
        "Every block of the graph has trainable=False, so training would change nothing: set trainable=True "
        "in the last Dense."
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Context:
    """What a run keeps at hand."""

    model: AssembledModel
    settings: TrainingSettings
    device: torch.device
    precision: Literal["float32", "bfloat16"]
    work: Path | None
    resume: bool
    on_event: Listener
    processes: Processes

    def autocast(self) -> AbstractContextManager[Any]:
        """The context in which forward runs: products in bfloat16, or nothing special."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """Training and validation rows with their token ids."""

    train: LabeledTexts
    train_encoded: Encoded
    validation: LabeledTexts | None
    validation_encoded: Encoded | None

    @classmethod
    def encode(cls, model: AssembledModel, train: LabeledTexts, validation: LabeledTexts | None) -> _Rows:
        return cls(
            train=train,
            train_encoded=model.encode(train.texts, train.pairs),
            validation=validation,
            validation_encoded=model.encode(validation.texts, validation.pairs) if validation else None,
        )


@dataclass(frozen=True, kw_only=True)
class _Fitted:
    """What fitting gives besides the weights."""

    outcome: Outcome
    task: Task
    word_decay: float


def _steps_per_epoch(encoded: Encoded, settings: TrainingSettings, *, trainable: bool) -> int:
    if trainable:
        return sum(1 for _ in text_steps(token_lengths(encoded), settings, 0))
    return sum(1 for _ in vector_steps(len(encoded), settings.seed, 0))


def _fit_text(context: _Context, rows: _Rows) -> _Fitted:
    """Train encoder and head together."""
    module, validation = context.model.module, rows.validation_encoded
    words = UsedWords(module.encoder, [rows.train_encoded, *([validation] if validation else [])])
    source = TextSource(
        module,
        words.numbered(rows.train_encoded),
        words.numbered(validation) if validation else None,
        context.settings,
        context.autocast,
        context.processes,
    )
    fitted = _fit(context, rows, source, module)
    words.put_back(fitted.word_decay)
    return fitted


def _fit_head(context: _Context, rows: _Rows) -> _Fitted:
    """Run the frozen encoder once, then train the head on its vectors.

    All processes run the encoder. The head's steps are shorter than telling others of them: the first does
    them alone.
    """
    head, processes = context.model.module.head, context.processes
    train_ND, validation_ND = _vectors(context, rows)
    alone = replace(context, processes=ALONE)
    fitted = processes.told(
        _fit_on_vectors(alone, rows, train_ND, validation_ND) if processes.is_first else None
    )
    processes.same_weights(head)
    return fitted


def _fit_on_vectors(
    context: _Context, rows: _Rows, train_ND: Tensor, validation_ND: Tensor | None
) -> _Fitted:
    head = context.model.module.head
    first = next(layer for layer in head if isinstance(layer, nn.Linear))
    # A frozen layer stays to the bit: standardising would be folded into it and out again, rounded.
    standardizer = Standardizer(train_ND) if first.weight.requires_grad else None
    if standardizer is not None:
        standardizer.move_into(head)
        train_ND = standardizer.transform(train_ND)
        validation_ND = None if validation_ND is None else standardizer.transform(validation_ND)
    source = VectorSource(head, train_ND, validation_ND, seed=context.settings.seed)
    with _one_thread():
        fitted = _fit(context, rows, source, head)
    if standardizer is not None:
        standardizer.move_out_of(head)
    return fitted


@contextmanager
def _one_thread() -> Iterator[None]:
    """Steps on vectors are too small to share: on busy cores, threads that wait for each other cost more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _fit(context: _Context, rows: _Rows, source: StepSource, trained: nn.Module) -> _Fitted:
    settings, task = context.settings, context.model.task
    row_weights = None if rows.train.weights is None else mean_one(rows.train.weights)
    weights = class_weights_in_loss(settings.class_weight, rows.train.targets, task, row_weights)
    class_weights_C = None if weights is None else torch.from_numpy(weights).to(context.device)
    module = context.model.module
    if settings.learning_rate is None or settings.head_learning_rate is None or settings.metric is None:
        raise ConfigError("The learning rates and the metric are not resolved.")
    poolers, new_layers = nn.ModuleList(), nn.ModuleList()
    for block, layer in zip(context.model.graph.head, module.head, strict=True):
        (poolers if isinstance(block, BertPooler) else new_layers).append(layer)
    optimizer = build_optimizer(
        nn.ModuleList([module.encoder, poolers]),
        new_layers,
        name=settings.optimizer,
        learning_rate=settings.learning_rate,
        head_learning_rate=settings.head_learning_rate,
        weight_decay=settings.weight_decay,
    )
    validation = None
    if rows.validation is not None:
        validation = Validation(task=task, targets=rows.validation.targets, class_weights=weights)
    result = Fit(
        module=trained,
        optimizer=optimizer,
        source=source,
        targets=torch.from_numpy(rows.train.targets),
        class_weights_C=class_weights_C,
        row_weights=None if row_weights is None else torch.from_numpy(row_weights),
        task=task,
        settings=settings,
        metric=settings.metric,
        validate=None if validation is None else validation.figures,
        work=context.work,
        on_event=context.on_event,
        processes=context.processes,
    ).run(resume=context.resume)
    if validation is not None and task.kind != "regression":
        task = context.processes.told(validation.tuned(source.validation_logits()))
    word_decay = decay_over(
        optimizer,
        module.encoder.embeddings.word.weight,
        steps=result.steps,
        num_steps=result.num_steps,
        warmup_fraction=settings.warmup_fraction,
    )
    return _Fitted(outcome=result.outcome, task=task, word_decay=word_decay)


def _vectors(context: _Context, rows: _Rows) -> tuple[Tensor, Tensor | None]:
    """The frozen encoder's vectors of the training and of the validation rows."""
    encoded = [rows.train_encoded] + ([rows.validation_encoded] if rows.validation_encoded else [])
    vectors = frozen_vectors(
        context.model.module,
        encoded,
        precision=context.precision,
        batch_tokens=context.settings.encoding_tokens(context.device),
        device=context.device,
        path=context.work / VECTORS if context.work else None,
        resume=context.resume,
        on_event=context.on_event,
        processes=context.processes,
    )
    both = torch.from_numpy(vectors).to(context.device)
    num_train = len(rows.train_encoded)
    return both[:num_train], both[num_train:] if len(encoded) > 1 else None
