"""report.html put together, and written with its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from bertblocks._files import write_text_atomically
from bertblocks.evaluation.report.findings import find
from bertblocks.evaluation.report.layout import Section
from bertblocks.evaluation.report.markup import Html, element, joined
from bertblocks.evaluation.report.phrases import shortened
from bertblocks.evaluation.report.pictures import Picture
from bertblocks.evaluation.report.section_answers import answers_section
from bertblocks.evaluation.report.section_calibration import calibration_section
from bertblocks.evaluation.report.section_data import data_section
from bertblocks.evaluation.report.section_figures import figures_section, first_screen
from bertblocks.evaluation.report.section_groups import groups_section
from bertblocks.evaluation.report.section_labels import labels_section
from bertblocks.evaluation.report.section_mistakes import mistakes_section
from bertblocks.evaluation.report.section_numbers import numbers_section
from bertblocks.evaluation.report.section_run import run_section
from bertblocks.evaluation.report_data import ReportData
from bertblocks.pages import document

REPORT_FILE = "report.html"
# Every picture that there may be: those of an earlier report are taken away, and no other file.
PICTURE_NAMES = (
    *("confusion", "roc", "precision-recall", "calibration"),
    *("predicted-against-true", "errors", "errors-by-size"),
    *("groups", "lengths", "unknown-tokens", "label-counts"),
    *("loss", "metrics", "learning-rate", "speed"),
)
# Pictures lie beside the page as report-NAME.svg.
_PICTURE_FILE = "report-{}.svg"
_TITLE_CHARACTERS = 200


@dataclass(frozen=True, kw_only=True)
class Report:
    """A page that is not written yet.

    Attributes:
        html: The page.
        pictures: The pictures in it.
    """

    html: str
    pictures: tuple[Picture, ...]


def write_files(report: Report, folder: Path) -> Path:
    """Write the pictures, then the page; take away what an earlier report drew and this one does not.

    Returns:
        The path of the page.
    """
    for picture in report.pictures:
        write_text_atomically(folder / _PICTURE_FILE.format(picture.name), picture.file())
    path = folder / REPORT_FILE
    write_text_atomically(path, report.html)
    for name in set(PICTURE_NAMES) - {picture.name for picture in report.pictures}:
        (folder / _PICTURE_FILE.format(name)).unlink(missing_ok=True)
    return path


def make_report(data: ReportData) -> Report:
    """Draw all pictures and put the page together."""
    findings = find(data)
    sections = [
        found
        for found in (
            figures_section(data),
            answers_section(data, findings),
            labels_section(data, findings),
            calibration_section(data),
            numbers_section(data),
            groups_section(data),
            data_section(data, findings),
            mistakes_section(data),
            run_section(data),
        )
        if found is not None
    ]
    body = joined(
        element("header", first_screen(data, findings)),
        _navigation(sections),
        [section.html() for section in sections],
    )
    html = document(
        shortened(data.title, _TITLE_CHARACTERS),
        body,
        script=_own_file("report.js"),
        style=_own_file("report.css"),
    )
    pictures = tuple(
        picture for section in sections for block in section.blocks for picture in block.pictures
    )
    return Report(html=html, pictures=pictures)


def _navigation(sections: Sequence[Section]) -> Html:
    items = [element("li", element("a", section.short, href=f"#{section.name}")) for section in sections]
    return element("nav", element("ul", items), aria_label="Sections of this report")


def _own_file(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
