from __future__ import annotations

import csv
import hashlib
import importlib.util
import sys
import unicodedata
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from bertblocks import sample

GROUPS = {
    "Smileys & Emotion",
    "People & Body",
    "Animals & Nature",
    "Food & Drink",
    "Travel & Places",
    "Activities",
    "Objects",
    "Symbols",
    "Flags",
}
SHIPPED_VERSIONS = "CLDR 41, emoji 15.0"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        rows = list(reader)
    assert reader.fieldnames == ["language", "text", "group"]
    return rows


@pytest.fixture(scope="module")
def training() -> list[dict[str, str]]:
    return read(sample.train_table())


@pytest.fixture(scope="module")
def evaluation() -> list[dict[str, str]]:
    return read(sample.evaluation_table())


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "scripts" / "build_sample.py"
    spec = importlib.util.spec_from_file_location("build_sample", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


# What ships


def test_the_tables_are_real_files_of_at_most_2_megabytes():
    paths = [sample.train_table(), sample.evaluation_table()]
    assert all(isinstance(path, Path) and path.is_file() for path in paths)
    assert sum(path.stat().st_size for path in paths) <= 2_000_000


def test_the_licence_goes_along():
    text = (sample.train_table().parent / "LICENSE.txt").read_text(encoding="utf-8")
    for part in (
        "Copyright © 1991-2022 Unicode, Inc.",
        "Permission is hereby granted",
        "What was changed",
        "CLDR) 41",
    ):
        assert part in text


def test_training_has_the_training_languages_and_every_group_in_each(training):
    assert {row["language"] for row in training} == set(sample.TRAINING_LANGUAGES)
    assert len(training) <= 12_000
    cells = Counter((row["language"], row["group"]) for row in training)
    assert set(cells) == {(language, group) for language in sample.TRAINING_LANGUAGES for group in GROUPS}
    assert min(cells.values()) >= 60


def test_evaluation_has_over_100_languages_with_enough_rows_in_each(evaluation):
    languages = Counter(row["language"] for row in evaluation)
    assert len(languages) > 100
    assert set(sample.TRAINING_LANGUAGES) < set(languages)
    assert min(languages.values()) >= 60 and max(languages.values()) <= 100
    assert {row["group"] for row in evaluation} == GROUPS


def test_training_languages_are_evaluated_on_the_same_number_of_each_group(evaluation):
    cells = Counter(
        (row["language"], row["group"]) for row in evaluation if row["language"] in sample.TRAINING_LANGUAGES
    )
    assert len(cells) == len(sample.TRAINING_LANGUAGES) * len(GROUPS)
    assert len(set(cells.values())) == 1


def test_no_text_of_a_language_comes_twice(training, evaluation):
    texts = [(row["language"], row["text"]) for row in training + evaluation]
    assert [text for text, count in Counter(texts).items() if count > 1] == []


def test_texts_are_clean(training, evaluation):
    for row in training + evaluation:
        text = row["text"]
        assert text and text == " ".join(text.split()) and text == unicodedata.normalize("NFC", text), row
        assert "↑↑↑" not in text and not any(0x1F3FB <= ord(character) <= 0x1F3FF for character in text), row
        odd = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Co")} - {"\u200c", "\u200d"}
        assert not odd, row


# How it is built


@pytest.mark.parametrize(
    "variants",
    [
        ["🏃", "🏃‍♂", "🏃‍♀"],
        ["🧑‍🍳", "👩‍🍳", "👨‍🍳"],
        ["👪", "👨‍👩‍👦", "👩‍👧", "👨‍👨‍👧‍👦"],
        ["💏", "👩‍❤‍💋‍👨", "👨‍❤‍💋‍👨"],
        ["💑", "👩‍❤‍👨", "👩‍❤‍👩"],
        ["👭", "👫", "🧑‍🤝‍🧑"],
        ["👱", "👱‍♀", "👩‍🦰", "👨‍🦲"],
        ["🐻", "🐻‍❄"],
        ["❤", "💚", "❤‍🔥"],
        ["🕛", "🕧", "🕑"],
        ["1⃣", "#⃣"],
    ],
)
def test_variants_are_one_thing(script, variants):
    assert len({script.concept(emoji) for emoji in variants}) == 1


def test_things_that_differ_stay_apart(script):
    emoji = [
        "🏃",
        "🧑‍🍳",
        "🧑‍🚀",
        "👪",
        "💏",
        "💑",
        "👭",
        "🧑",
        "🐻",
        "🐶",
        "❤",
        "🕛",
        "1⃣",
        "🇵🇪",
        "🇫🇷",
        "♀",
        "♂",
    ]
    assert len({script.concept(one) for one in emoji}) == len(emoji)


def test_a_text_is_the_name_and_the_keywords_that_add_a_word(script):
    assert script.describe("red apple", ["apple", "fruit", "red", "red apple"], ", ") == "red apple, fruit"
    assert script.describe("flag: Peru", ["flag"], ", ") == "flag: Peru"
    assert script.describe("car", ["carousel", "Car"], ", ") == "car, carousel"
    assert script.clean(" a\u00a0b\u200f  e\u0301 ") == "a b é"


def test_languages_and_texts_are_read_from_cldr(script, tmp_path):
    def write(folder: str, name: str, annotations: str, territory: str = "") -> None:
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True)
        content = f'<ldml><identity><language type="en"/>{territory}</identity><annotations>{annotations}'
        path.write_text(content + "</annotations></ldml>", encoding="utf-8")

    write("annotations", "root.xml", "")
    write("annotations", "en_AU.xml", "", '<territory type="AU"/>')
    write(
        "annotations",
        "en.xml",
        '<annotation cp="🍎">apple | fruit | red</annotation>'
        '<annotation cp="🍎" type="tts">red apple</annotation>'
        '<annotation cp="&amp;" type="tts">ampersand</annotation>'
        '<annotation cp="❤️" type="tts">red heart</annotation>'
        '<annotation cp="🍐" type="tts">↑↑↑</annotation>'
        '<annotation cp="🍋" type="tts" draft="unconfirmed">lemon</annotation>'
        '<annotation cp="🍇">fruit</annotation>',
    )
    write("annotationsDerived", "en.xml", '<annotation cp="🇵🇪" type="tts">flag: Peru</annotation>')
    assert script.find_languages(tmp_path) == ["en"]
    assert script.read_texts(tmp_path, "en", {"🍎", "❤", "🍐", "🍋", "🍇", "🇵🇪"}) == {
        "🇵🇪": "flag: Peru",
        "🍎": "red apple, fruit",
        "❤": "red heart",
    }


def test_what_is_missing_is_named_with_its_package(script, tmp_path, capsys):
    arguments = [
        "--output",
        str(tmp_path / "out"),
        "--cldr",
        str(tmp_path / "a"),
        "--emoji",
        str(tmp_path / "b"),
    ]
    assert script.main(arguments) == 2
    message = capsys.readouterr().err
    assert "unicode-cldr-core" in message and "unicode-data" in message
    assert "--cldr" in message and "--emoji" in message
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_the_emoji_list_is_refused(script, tmp_path):
    path = tmp_path / "emoji-data.txt"
    path.write_text("# emoji-data.txt\n231A..231B ; Emoji\n", encoding="utf-8")
    with pytest.raises(
        script.SourceError, match=r"0 groups of emoji, expected 9: is it Unicode's emoji-test\.txt"
    ):
        script.read_groups(path)


def test_a_leak_is_refused(script):
    leaked = script.Example(language="en", text="red apple", group="Food & Drink", emoji="🍎")
    with pytest.raises(script.SourceError, match="1 emoji are in both tables"):
        script.check([leaked], [leaked])


def test_both_lists_of_training_languages_are_the_same(script):
    assert script.TRAINING_LANGUAGES == sample.TRAINING_LANGUAGES


def test_a_rebuild_gives_the_same_bytes(script, tmp_path):
    try:
        script.require(script.DEFAULT_CLDR, script.DEFAULT_EMOJI)
    except script.SourceError as missing:
        pytest.skip(f"needs Debian's Unicode data: {missing}")
    found = script.read_versions(script.DEFAULT_CLDR, script.DEFAULT_EMOJI)
    if found != SHIPPED_VERSIONS:
        pytest.skip(f"the tables were built from {SHIPPED_VERSIONS}; here is {found}")
    assert script.main(["--output", str(tmp_path)]) == 0
    for shipped in (sample.train_table(), sample.evaluation_table()):
        rebuilt = (tmp_path / shipped.name).read_bytes()
        # A checkout on Windows may have turned the line ends.
        expected = shipped.read_bytes().replace(b"\r\n", b"\n")
        assert hashlib.sha256(rebuilt).digest() == hashlib.sha256(expected).digest(), shipped.name
