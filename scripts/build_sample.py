#!/usr/bin/env python3
"""Build the sample that ships inside bertblocks: "which group is the thing that this text names?".

    python scripts/build_sample.py --output src/bertblocks/sample

writes `train.csv` and `evaluation.csv` (UTF-8, columns `language,text,group`) from two sources of the
Unicode Consortium, by default where Debian's packages put them: the CLDR, whose people translate the names
and keywords of emoji into over 100 languages (`unicode-cldr-core`), and the emoji list, which puts each
emoji into one of nine groups (`unicode-data`). It needs the standard library only, and the same sources
always give the same bytes.

What is taken:
  * Emoji: the fully-qualified ones, without skin-tone variants and without the group "Component". CLDR
    leaves U+FE0F out of its emoji, so it is left out on both sides before they are matched.
  * Languages: each CLDR file of a language, or of a language in another script (`zh_Hant`, `sr_Latn`), that
    names at least half of the emoji. Files of a region (`en_AU`) hold only what differs, and are passed
    over. Values that CLDR marks as unconfirmed or provisional, or as inherited (three arrows), do not
    count.
  * Text: the name, then those keywords that add a word to it: "red apple, fruit", and "flag: Peru" alone. A
    name is what people type; the keywords give a model something to read. Characters are composed (NFC),
    spaces are plain, and invisible marks of direction and line breaking are gone.

How it is split:
  * Emoji that show one thing go together: woman, man and person running; all families; polar bear and bear;
    dog and dog face; hearts of any colour; the clock's hours (`concept` has the rules). Of such a thing a
    language gets one row, so near copies neither leak from one table to the other nor crowd a table.
  * Three quarters of the things of each group are for training and one quarter for evaluation, by the order
    of a hash of their code points.
  * Training: a dozen languages of eleven branches and six scripts. From each group a language gets at most
    `TRAINING_ROWS` things, each language its own selection and its own variant (here the man runs, there
    the woman).
  * Evaluation: all languages, `EVALUATION_ROWS` emoji of each group, the same ones everywhere, so that
    languages can be compared: those that every language names, then those that most do. Thirteen languages
    name no flags of countries yet, and have fewer rows.
  * "Unseen" means without a training row, not unrelated: `yue` and `zh_Hant` are close to `zh`. Near synonyms
    remain across the split (slightly frowning face, frowning face), as in any real table.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import re
import sys
import unicodedata
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_CLDR = Path("/usr/share/unicode/cldr/common")
DEFAULT_EMOJI = Path("/usr/share/unicode/emoji/emoji-test.txt")

# Eleven branches: German and English are both Germanic.
TRAINING_LANGUAGES = ("ar", "de", "en", "es", "hi", "id", "ja", "ru", "sw", "tr", "vi", "zh")
NUM_GROUPS = 9
TRAINING_ROWS = 120
EVALUATION_ROWS = 10
EVALUATION_SHARE = 0.25
MIN_NAMED = 0.5  # the share of all emoji that a language has to name
WIDELY_NAMED = 0.8  # the share of all languages that have to name an emoji of the evaluation table

COMMAS = {
    **dict.fromkeys(("ja", "yue", "yue_Hans", "zh", "zh_Hant"), "、"),
    **dict.fromkeys(("ar", "fa", "pa_Arab", "ps", "sd", "ug", "ur"), "، "),
    "am": "፣ ",
}

SKIN_TONES = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]")
PUNCTUATION = "".join(c for c in map(chr, range(0x10000)) if unicodedata.category(c).startswith("P"))

# What Unicode encodes as several emoji without joining them: the first stands for all.
SAME_THING = (
    "🧓👴👵", "🧒👦👧", "🫅🤴👸", "🧑‍🎄 🎅 🤶", "🫄🤰🫃", "🕺💃", "🧑‍🤝‍🧑 👭 👫 👬",
    "👱 🧑‍🦰 🧑‍🦱 🧑‍🦳 🧑‍🦲", "👤👥",
    "🐶🐕", "🐱🐈", "🐭🐁", "🐰🐇", "🐮🐄", "🐷🐖", "🐯🐅", "🐴🐎", "🐵🐒", "🐲🐉",
    "❤🧡💛💚💙💜🤎🖤🤍🩷🩵🩶", "📕📗📘📙",
    "🔴🟠🟡🟢🔵🟣🟤⚫⚪", "🟥🟧🟨🟩🟦🟪🟫⬛⬜◼◻◾◽▪▫🔳🔲", "🔶🔷🔸🔹",
    "⬆↗➡↘⬇↙⬅↖↕↔", "🕛🕧🕐🕜🕑🕝🕒🕞🕓🕟🕔🕠🕕🕡🕖🕢🕗🕣🕘🕤🕙🕥🕚🕦",
)  # fmt: skip


def _first_of_thing() -> dict[str, str]:
    things = [thing.split() if " " in thing else list(thing) for thing in SAME_THING]
    return {emoji: thing[0] for thing in things for emoji in thing}


FIRST_OF_THING = _first_of_thing()


class SourceError(Exception):
    """A source file that is missing or is not what it should be; the message says how to mend it."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One row, with the emoji that it names; the emoji is for checking and is not written."""

    language: str
    text: str
    group: str
    emoji: str


def read_groups(path: Path) -> dict[str, str]:
    """Read which group each emoji is in.

    Args:
        path: Unicode's `emoji-test.txt`.

    Returns:
        Emoji without U+FE0F → group, in the file's order.

    Raises:
        SourceError: If the file does not have nine groups.
    """
    groups: dict[str, str] = {}
    group = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# group:"):
            group = line.removeprefix("# group:").strip()
        elif "; fully-qualified" in line and group != "Component":
            emoji = "".join(chr(int(point, 16)) for point in line.split(";")[0].split())
            if not SKIN_TONES & set(emoji):
                groups[emoji.replace("\ufe0f", "")] = group
    if (found := len(set(groups.values()))) != NUM_GROUPS:
        raise SourceError(
            f"{path} has {found} groups of emoji, expected {NUM_GROUPS}: is it Unicode's emoji-test.txt?"
        )
    return groups


def read_xml(path: Path) -> ET.Element:
    """Read one of CLDR's files.

    Raises:
        SourceError: If it is not XML.
    """
    try:
        return ET.parse(path).getroot()
    except ET.ParseError as error:
        raise SourceError(f"{path} is not XML ({error}): install Debian's unicode-cldr-core again") from error


def read_versions(cldr: Path, emoji: Path) -> str:
    """Say which versions of CLDR and of the emoji list the sources are."""
    dtd = cldr / "dtd" / "ldml.dtd"
    found = re.search(r'cldrVersion CDATA #FIXED "([^"]+)"', dtd.read_text("utf-8") if dtd.exists() else "")
    listed = re.search(r"^# Version: (\S+)", emoji.read_text("utf-8"), re.MULTILINE)
    return f"CLDR {found[1] if found else 'unknown'}, emoji {listed[1] if listed else 'unknown'}"


def concept(emoji: str) -> str:
    """Name the thing that an emoji shows: emoji of a group with the same answer stay on one side.

    Woman and man count as person, signs of gender are dropped, families, kisses and couples are one thing
    each, a joined sequence goes with its first part (polar bear with bear) unless that is a person (then the
    second part says who: a cook), and what `SAME_THING` lists is the same.
    """
    first, *rest = emoji.split("\u200d")
    parts = ["🧑" if part in "👩👨" else part for part in (first, *rest) if part is first or part not in "♀♂"]
    if emoji == "👪" or (parts[0] == "🧑" and set(parts[1:]) & set("👦👧🧒")):
        return "👪"
    if emoji == "💏" or "💋" in parts[1:]:
        return "💏"
    if emoji == "💑" or (parts[0] == "🧑" and "❤" in parts):
        return "💑"
    if emoji.endswith("\u20e3"):
        return "\u20e3"  # the keycaps
    sequence = "\u200d".join(parts) if parts[0] == "🧑" else parts[0]
    return FIRST_OF_THING.get(sequence, sequence)


def find_languages(cldr: Path) -> list[str]:
    """List the CLDR files of languages: regions override them, and the root names nothing."""
    languages = []
    for path in sorted((cldr / "annotations").glob("*.xml")):
        identity = read_xml(path).find("identity")
        if path.stem != "root" and identity is not None and identity.find("territory") is None:
            languages.append(path.stem)
    return languages


def read_texts(cldr: Path, language: str, wanted: Container[str]) -> dict[str, str]:
    """Read what a language calls each emoji.

    Args:
        cldr: CLDR's folder `common`.
        language: Stem of a file in `annotations` and, for flags, families and the like, `annotationsDerived`.
        wanted: The emoji to read, without U+FE0F.

    Returns:
        Emoji without U+FE0F → text.
    """
    names: dict[str, str] = {}
    keywords: dict[str, list[str]] = {}
    for folder in ("annotationsDerived", "annotations"):
        path = cldr / folder / f"{language}.xml"
        for annotation in read_xml(path).iter("annotation") if path.exists() else ():
            emoji = annotation.get("cp", "").replace("\ufe0f", "")
            if emoji not in wanted or annotation.get("draft") in ("unconfirmed", "provisional"):
                continue
            value = clean(annotation.text or "")
            if not value or "↑↑↑" in value:
                continue
            if annotation.get("type") == "tts":
                names[emoji] = value
            else:
                keywords[emoji] = [keyword.strip() for keyword in value.split("|")]
    comma = COMMAS.get(language, ", ")
    return {emoji: describe(name, keywords.get(emoji, ()), comma) for emoji, name in names.items()}


def clean(text: str) -> str:
    """Compose characters, make spaces plain, and drop invisible marks; joiners stay, they are spelling."""
    return " ".join(INVISIBLE.sub("", unicodedata.normalize("NFC", text)).split())


def describe(name: str, keywords: Iterable[str], comma: str) -> str:
    """Join a name and those of its keywords that add a word to what is already said."""
    said = _words(name)
    parts = [name]
    for keyword in keywords:
        if not _words(keyword) <= said:
            parts.append(keyword)
            said |= _words(keyword)
    return comma.join(parts)


def _words(text: str) -> set[str]:
    return {word.strip(PUNCTUATION) for word in text.casefold().split()} - {""}


def rank(*keys: str) -> str:
    """Give a place in an order that looks random and is always the same."""
    points = "/".join(" ".join(f"{ord(character):04X}" for character in key) for key in keys)
    return hashlib.sha256(points.encode("ascii")).hexdigest()


def split_concepts(
    groups: Mapping[str, str],
) -> tuple[dict[str, list[list[str]]], dict[str, list[list[str]]]]:
    """Split the things of each group into those for training and those for evaluation.

    Returns:
        Two tables, group → things; a thing is the list of its emoji.
    """
    things: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for emoji, group in groups.items():
        things[group][concept(emoji)].append(emoji)
    training, evaluation = {}, {}
    for group, emoji_by_concept in things.items():
        ordered = [emoji_by_concept[name] for name in sorted(emoji_by_concept, key=rank)]
        border = round(len(ordered) * EVALUATION_SHARE)
        evaluation[group], training[group] = ordered[:border], ordered[border:]
    return training, evaluation


def choose_training(
    things: Mapping[str, list[list[str]]], texts: Mapping[str, Mapping[str, str]]
) -> list[Example]:
    """Choose each training language's own things and variants, at most `TRAINING_ROWS` in a group."""
    examples = []
    for language in TRAINING_LANGUAGES:
        named = texts[language]
        for group, group_things in things.items():
            variants = [[emoji for emoji in thing if emoji in named] for thing in group_things]
            chosen = [min(emoji, key=lambda one: rank(language, one)) for emoji in variants if emoji]
            for emoji in sorted(chosen, key=lambda one: rank(language, one))[:TRAINING_ROWS]:
                examples.append(Example(language=language, text=named[emoji], group=group, emoji=emoji))
    return examples


def choose_evaluation(
    things: Mapping[str, list[list[str]]], texts: Mapping[str, Mapping[str, str]]
) -> list[Example]:
    """Choose `EVALUATION_ROWS` widely named emoji of each group, in every language that names them."""
    num_naming = Counter(emoji for named in texts.values() for emoji in named)

    def place(emoji: str) -> tuple[bool, str]:
        return num_naming[emoji] < len(texts), rank(emoji)  # those that every language names come first

    chosen: dict[str, str] = {}
    for group, group_things in things.items():
        variants = [
            [e for e in thing if num_naming[e] >= WIDELY_NAMED * len(texts)] for thing in group_things
        ]
        widely = [min(emoji, key=place) for emoji in variants if emoji]
        chosen |= dict.fromkeys(sorted(widely, key=place)[:EVALUATION_ROWS], group)
    return [
        Example(language=language, text=named[emoji], group=group, emoji=emoji)
        for language, named in texts.items()
        for emoji, group in chosen.items()
        if emoji in named
    ]


def check(training: list[Example], evaluation: list[Example]) -> None:
    """Make sure that the tables keep what the docstring promises.

    Raises:
        SourceError: If they do not, with every problem.
    """
    problems = []
    marks: dict[str, Callable[[Example], tuple[str, str]]] = {
        "emoji": lambda e: (e.emoji, ""),
        "things": lambda e: (e.group, concept(e.emoji)),
        "texts": lambda e: (e.language, e.text),
    }
    for what, mark in marks.items():
        if shared := set(map(mark, training)) & set(map(mark, evaluation)):
            problems.append(f"{len(shared)} {what} are in both tables, such as {min(shared)}")
    for name, examples in {"training": training, "evaluation": evaluation}.items():
        if len({e.group for e in examples}) != NUM_GROUPS:
            problems.append(f"the {name} table lacks a group")
        if not set(TRAINING_LANGUAGES) <= {e.language for e in examples}:
            problems.append(f"the {name} table lacks training languages")
    if problems:
        raise SourceError("\n".join(problems))


def write_table(path: Path, examples: Iterable[Example]) -> None:
    """Write examples as CSV, the same bytes on every system, languages and groups mixed."""
    rows = sorted(examples, key=lambda e: rank(e.emoji, e.language))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["language", "text", "group"])
        writer.writerows([row.language, row.text, row.group] for row in rows)


def require(cldr: Path, emoji: Path) -> None:
    """Check that the sources are there.

    Raises:
        SourceError: If one is missing, naming Debian's package and the option for another place.
    """
    problems = [
        f"{path} is missing: install Debian's package {package}, or name another place with {option}"
        for path, package, option in [
            (cldr / "annotations", "unicode-cldr-core", "--cldr"),
            (cldr / "annotationsDerived", "unicode-cldr-core", "--cldr"),
            (emoji, "unicode-data", "--emoji"),
        ]
        if not path.exists()
    ]
    if problems:
        raise SourceError("\n".join(problems))


def build(cldr: Path, emoji: Path) -> tuple[list[Example], list[Example]]:
    """Build the training and the evaluation table.

    Args:
        cldr: CLDR's folder `common`.
        emoji: Unicode's `emoji-test.txt`.

    Raises:
        SourceError: If a source is missing, incomplete or not what it should be.
    """
    require(cldr, emoji)
    groups = read_groups(emoji)
    texts = {}
    for language in find_languages(cldr):
        named = read_texts(cldr, language, groups)
        if len(named) >= MIN_NAMED * len(groups):
            texts[language] = named
    if missing := set(TRAINING_LANGUAGES) - set(texts):
        raise SourceError(f"{cldr} names too few emoji in {sorted(missing)}: is it a complete CLDR?")
    training_things, evaluation_things = split_concepts(groups)
    training = choose_training(training_things, texts)
    evaluation = choose_evaluation(evaluation_things, texts)
    check(training, evaluation)
    return training, evaluation


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; see the top of the file."""
    parser = argparse.ArgumentParser(
        description="Build the sample tables from Unicode's CLDR and emoji list."
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for train.csv and evaluation.csv")
    parser.add_argument("--cldr", type=Path, default=DEFAULT_CLDR, help="CLDR's folder common (%(default)s)")
    parser.add_argument("--emoji", type=Path, default=DEFAULT_EMOJI, help="emoji-test.txt (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        training, evaluation = build(options.cldr, options.emoji)
    except (SourceError, OSError, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return 2
    print(read_versions(options.cldr, options.emoji))
    options.output.mkdir(parents=True, exist_ok=True)
    for name, examples in {"train.csv": training, "evaluation.csv": evaluation}.items():
        path = options.output / name
        write_table(path, examples)
        languages = len({e.language for e in examples})
        print(f"{path}: {len(examples):,} rows, {languages} languages, {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
