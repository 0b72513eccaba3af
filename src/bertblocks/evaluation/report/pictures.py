"""matplotlib's drawings as SVG for a page and for a file.

Texts of users never reach matplotlib: it would take "$" for mathematics, and it warns of letters that its
font does not have. In their place it draws short stand-ins, which are replaced in the finished SVG; the fonts
are those of the reader's browser.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bertblocks.evaluation.report import inks
from bertblocks.evaluation.report.markup import Html
from bertblocks.evaluation.report.phrases import shortened
from bertblocks.pages import escape

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

_POINTS_PER_INCH = 72
# Of a longer text the end is not looked for.
_LINE_CHARACTERS = 1_000
_LOOK: dict[str, Any] = {
    "svg.fonttype": "none",
    # Fixed, so that the same data give the same bytes.
    "svg.hashsalt": "bertblocks",
    "text.parse_math": False,
    # matplotlib's own: texts are measured alike on every machine. What is drawn has the reader's font.
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": inks.TEXT,
    "axes.labelcolor": inks.MUTED,
    "axes.edgecolor": inks.MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": False,
    "grid.color": inks.LINE,
    "grid.linewidth": 0.6,
    "xtick.color": inks.MUTED,
    "ytick.color": inks.MUTED,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "figure.dpi": _POINTS_PER_INCH,
}
# Parts of matplotlib's SVG that a page does not need, or that are not the same on every machine.
_USELESS = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->|<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)
_FONT = re.compile(r"font: ([\d.]+px) [^;\"]*|font-family: [^;\"]*;? ?")
_TAG = re.compile(r"<[^>]*>")
_LONG_NUMBER = re.compile(r"(\d+\.\d\d)\d+")
_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'(url\(#|href="#)([^)"]*)')
_STAND_IN = re.compile(r"@(\d+)@")


def drawn_width(text: str, font_size: float) -> float:
    """About how wide a text will be in the reader's font, which nobody knows here; in points."""
    return 0.6 * font_size * sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def narrowed(text: str, columns: int) -> str:
    """A text on one line of so many columns, its middle left out: beginnings and ends tell labels apart.

    Chinese and other wide letters take two columns.
    """
    line = shortened(text, _LINE_CHARACTERS)
    if sum(map(_columns, line)) <= columns:
        return line
    head = _first_columns(line, columns * 2 // 3)
    tail = _first_columns(line[::-1], columns - 1 - sum(map(_columns, head)))
    return f"{head}…{tail[::-1]}"


def _first_columns(text: str, columns: int) -> str:
    used = 0
    for place, character in enumerate(text):
        used += _columns(character)
        if used > columns:
            return text[:place]
    return text


class UserTexts:
    """Stand-ins for texts of users, in the order in which they were asked for."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, text: str, columns: int = 24) -> str:
        """What to draw in the place of a text, which is narrowed to so many columns."""
        self.texts.append(narrowed(text, columns))
        return f"@{len(self.texts) - 1}@"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A finished drawing.

    Attributes:
        name: Of its file, without an ending; also begins its ids.
        title: What it shows, for who cannot see it.
        width_pt: Its width; the page makes it narrower where there is less room.
        height_pt: Its height.
        drawing: SVG inside of <svg>, with marks for colours and stand-ins for texts.
        user_texts: What the stand-ins stand for.
    """

    name: str
    title: str
    width_pt: float
    height_pt: float
    drawing: str
    user_texts: tuple[str, ...] = ()

    def inline(self) -> Html:
        """For the page: in its colours and its font."""
        size = f'width="{self.width_pt:g}pt" height="{self.height_pt:g}pt"'
        return Html(
            f'<svg {size} {self._view()} role="img" aria-labelledby="{self.name}-title">'
            f'<title id="{self.name}-title">{escape(self.title)}</title>'
            f"{self._filled_in(inks.with_variables(self.drawing))}</svg>"
        )

    def file(self) -> str:
        """For a file of its own: dark on white, as programs without style sheets show it too."""
        # Older programs know references by their old name alone.
        drawing = inks.on_paper(self.drawing).replace(' href="#', ' xlink:href="#')
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" '
            f'xmlns:xlink="http://www.w3.org/1999/xlink" width="{self.width_pt:g}pt" '
            f'height="{self.height_pt:g}pt" {self._view()} '
            "font-family=\"system-ui, 'DejaVu Sans', Arial, sans-serif\">"
            f"<title>{escape(self.title)}</title>"
            f'<rect width="{self.width_pt:g}" height="{self.height_pt:g}" fill="{inks.PAPER}"/>'
            f"{self._filled_in(drawing)}</svg>\n"
        )

    def _view(self) -> str:
        return f'viewBox="0 0 {self.width_pt:g} {self.height_pt:g}" stroke-linejoin="round"'

    def _filled_in(self, drawing: str) -> str:
        return _STAND_IN.sub(lambda found: escape(self.user_texts[int(found[1])]), drawing)


class Sketch:
    """A figure of one plot that is being drawn; margins and sizes in points.

    Args:
        width: Of the whole picture.
        height: Of the whole picture.
        left: Room for the labels of the vertical axis.
        bottom: Room for those of the horizontal one.
        right: Room at the right.
        top: Room above.
    """

    def __init__(
        self,
        width: float = 340,
        height: float = 260,
        *,
        left: float = 50,
        bottom: float = 42,
        right: float = 14,
        top: float = 14,
    ) -> None:
        self._size = (width, height)
        self._figure = Figure(figsize=(width / _POINTS_PER_INCH, height / _POINTS_PER_INCH))
        box = (
            left / width,
            bottom / height,
            (width - left - right) / width,
            (height - top - bottom) / height,
        )
        self.axes: Axes = self._figure.add_axes(box)
        self.user_text = UserTexts()
        for patch in (self._figure.patch, self.axes.patch):
            patch.set_visible(False)

    def finish(self, name: str, title: str) -> Picture:
        """Render it."""
        file = io.StringIO()
        self._figure.savefig(
            file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
        width, height = self._size
        return Picture(
            name=name,
            title=title,
            width_pt=width,
            height_pt=height,
            drawing=_tidied(file.getvalue(), name),
            user_texts=tuple(self.user_text.texts),
        )


def drawn(plot: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Decorate a function that draws: matplotlib's defaults and our look, whatever its user has set."""

    @wraps(plot)
    def in_our_look(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        with style.context(["default", _LOOK]):
            return plot(*args, **kwargs)

    return in_our_look


def _tidied(svg: str, name: str) -> str:
    """The inside of matplotlib's <svg>: shorter, without fonts and dates, ids beginning with the name."""
    inside = svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]
    inside = _FONT.sub(lambda found: f"font-size: {found[1]}" if found[1] else "", _USELESS.sub("", inside))
    inside = inside.replace("xlink:href=", "href=")
    used = {found[2] for found in _REFERENCE.finditer(inside)}
    inside = _ID.sub(lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", inside)
    inside = _REFERENCE.sub(lambda found: f"{found[1]}{name}-{found[2]}", inside)
    # Only within tags: between them a number is a text that is read.
    inside = _TAG.sub(lambda found: _LONG_NUMBER.sub(r"\1", found[0]), inside)
    return re.sub(r"\s*\n\s*", "\n", inside).replace("\n<", "<").replace("\n", " ").strip()
