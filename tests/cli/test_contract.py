"""The command line's names: whoever changes one here breaks somebody's script."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest
import typer

import bertblocks
from bertblocks.cli.app import _with_options, app
from bertblocks.cli.explain import Method
from bertblocks.cli.options import SHARD_ROWS, Precision, TrainingPrecision
from bertblocks.cli.sections import SECTIONS
from bertblocks.encoder import Precision as EncoderPrecision
from bertblocks.encoder import TrainingPrecision as EncoderTrainingPrecision
from bertblocks.explanation import Method as ExplanationMethod
from bertblocks.inference import SHARD_ROWS as INFERENCE_SHARD_ROWS

TRAIN = (
    "TABLE --text --text-pair --ids --target --output --encoder --graph --vocabulary --vocabulary-size "
    "--layers --heads --hidden-size --intermediate-size --task --label-separator --validation --group-by "
    "--weight --pooling --sequence-length --windows --stride --window-pooling --freeze-encoder --epochs "
    "--batch-tokens --learning-rate --class-weight --metric --patience --optimizer --precision --device "
    "--seed --encoding --sheet --skip-bad-rows "
    "--baseline/--no-baseline --tensorboard --checkpoint-every-s --resume --config --json"
)
COMMANDS = {
    "quickstart": "--output",
    "train": TRAIN,
    "evaluate": (
        "MODEL TABLE --text --text-pair --ids --target --label-separator --group-by --output --precision "
        "--device --encoding --sheet --skip-bad-rows --json"
    ),
    "compare": (
        "MODELS TABLE --text --text-pair --ids --target --label-separator --group-by --output --precision "
        "--device --encoding --sheet --skip-bad-rows --json"
    ),
    "predict": (
        "MODEL TABLE --output --text --text-pair --precision --device --encoding --sheet "
        "--skip-bad-rows --on-error --columns --limit --format --shard-rows --restart --engine --ray-address "
        "--num-workers --cpus-per-worker --gpus-per-worker --json"
    ),
    "explain": ("MODEL TEXT --text-pair --label --method --attention --output --device --encoding --json"),
    "embed": (
        "ENCODER TABLE --text --output --pooling --sequence-length --windows --stride --window-pooling "
        "--precision --device --encoding --sheet --skip-bad-rows --on-error --columns --limit --format "
        "--shard-rows --restart --json"
    ),
    "serve": (
        "MODEL --host --port --token --token-file --threads --precision --device --concurrent-requests "
        "--texts-per-request --text-characters --body-bytes --batch-tokens --timeout-s --drain-s --worker-s "
        "--allow-origin --access-log/--no-access-log"
    ),
    "convert": "SOURCE --output --keep-heads --json",
    "info": "MODEL --json",
}


def commands():
    return typer.main.get_command(app).commands


def test_the_commands():
    assert set(commands()) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_options(name):
    found = [
        "/".join([*option.opts, *option.secondary_opts])
        if option.param_type_name == "option"
        else option.name.upper()
        for option in commands()[name].params
    ]
    assert sorted(found) == sorted(COMMANDS[name].split())


def test_every_option_of_train_but_json_has_its_section():
    options = [option.name for option in commands()["train"].params if option.name != "as_json"]
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(options)


def test_the_choices_of_precision_are_the_encoders():
    # Written twice, so that --help need not load torch.
    assert get_args(Precision) == get_args(EncoderPrecision)
    assert get_args(TrainingPrecision) == get_args(EncoderTrainingPrecision)


def test_the_rows_of_a_part_are_those_of_a_shard():
    assert SHARD_ROWS == INFERENCE_SHARD_ROWS


def test_the_choices_of_method_are_the_explanations():
    assert get_args(Method) == get_args(ExplanationMethod)


@pytest.mark.parametrize("name", [*COMMANDS, None])
def test_help(cli, name):
    ended = cli(*([name] if name else []), "--help")
    assert ended.status == 0 and ended.err == ""
    assert ended.out.startswith("Usage: bertblocks")
    for word in COMMANDS[name].split() if name else COMMANDS:
        assert word.split("/")[0] in ended.out


def test_every_command_is_said_in_a_line(cli):
    assert "..." not in cli("--help").out.replace("[ARGS]...", "")


def test_version(cli):
    ended = cli("--version")
    assert (ended.status, ended.out.strip()) == (0, bertblocks.__version__)


def test_no_command_shows_the_help(cli):
    ended = cli()
    assert ended.status == 2 and "Usage: bertblocks" in ended.out + ended.err


def test_an_unknown_command_or_option(cli):
    for arguments in (["trian"], ["train", "--epoch", "3"], ["train", "--task", "clustering"], ["info"]):
        ended = cli(*arguments)
        assert ended.status == 2 and not ended.out and "Traceback" not in ended.err
        assert "Error: " in ended.err


def test_help_waits_for_no_large_package():
    code = (
        "import sys, bertblocks.cli; print([m for m in ('torch', 'sklearn', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_python_m_bertblocks():
    done = subprocess.run(
        [sys.executable, "-m", "bertblocks", "--help"], capture_output=True, encoding="utf-8", check=True
    )
    assert "quickstart" in done.stdout


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("set windows='slide' too", "set --windows slide too"),
        ("take encoder='random', or sequence_length=9.", "take --encoder random, or --sequence-length 9."),
        ("label_separator has no effect", "--label-separator has no effect"),
        ("leave out text_pair.", "leave out --text-pair."),
        # Words that may be any word, columns in quotes, and paths stay as they are.
        ("no text, and no column 'text_pair'", "no text, and no column 'text_pair'"),
        ("a/text_pair is no folder, nor is text_pair/b", "a/text_pair is no folder, nor is text_pair/b"),
        ("text_pair.csv does not exist", "text_pair.csv does not exist"),
    ],
)
def test_settings_are_told_as_options(message, told):
    assert _with_options(message) == told
