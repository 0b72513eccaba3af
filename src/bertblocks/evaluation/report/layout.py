"""Parts that every section is put together from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertblocks.evaluation.report.markup import Html, element, joined
from bertblocks.evaluation.report.pictures import Picture

# A phone has room for about so much. Wider pictures become somewhat smaller there, and scroll.
_PHONE_WIDTH_PT = 370
_LEAST_SCALE = 0.75


@dataclass(frozen=True, kw_only=True)
class Block:
    """A piece of a section, with the pictures in it.

    Attributes:
        html: The piece.
        pictures: Those that it shows, to be written as files too.
    """

    html: Html
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page that the navigation leads to.

    Attributes:
        name: Its id.
        short: What the navigation calls it.
        heading: Its heading.
        blocks: What stands in it.
    """

    name: str
    short: str
    heading: str
    blocks: tuple[Block, ...]

    def html(self) -> Html:
        """The section with its heading."""
        heading = element("h2", self.heading, id=f"{self.name}-heading")
        body = [block.html for block in self.blocks]
        return element("section", heading, body, id=self.name, aria_labelledby=f"{self.name}-heading")


def section(name: str, short: str, heading: str, blocks: Sequence[Block | Html | None]) -> Section | None:
    """A section of blocks; None where there is nothing in it."""
    found = [block if isinstance(block, Block) else Block(html=block) for block in blocks if block]
    return Section(name=name, short=short, heading=heading, blocks=tuple(found)) if found else None


def figure(picture: Picture, caption: str, numbers: Html, *, note: str = "") -> Block:
    """A picture with what it says below it, and the same as a table behind it.

    Args:
        picture: The picture.
        caption: How to read it.
        numbers: The table.
        note: What else must be known of the numbers.
    """
    drawing = picture.inline()
    if picture.width_pt > _PHONE_WIDTH_PT:
        sizes = f"--most: {picture.width_pt:g}pt; --least: {_LEAST_SCALE * picture.width_pt:g}pt"
        drawing = element(
            "div",
            drawing,
            class_="scroll wide",
            style=sizes,
            role="group",
            aria_label=picture.title,
            tabindex=0,
        )
    hidden = element("span", f" of: {picture.title}", class_="visually-hidden")
    behind = element("details", element("summary", "The numbers", hidden), numbers)
    below = element("figcaption", caption, element("span", note) if note else None)
    html = element("figure", drawing, below, behind)
    return Block(html=html, pictures=(picture,))


def side_by_side(*blocks: Block | None) -> Block | None:
    """Figures in two columns where there is room."""
    found = [block for block in blocks if block is not None]
    if not found:
        return None
    pictures = tuple(picture for block in found for picture in block.pictures)
    return Block(html=element("div", [block.html for block in found], class_="pictures"), pictures=pictures)


def subheading(words: str) -> Html:
    """A heading within a section."""
    return element("h3", words)


def note(words: str, *, is_warning: bool = False) -> Html:
    """A sentence that is set apart."""
    return element("p", words, class_="note warning" if is_warning else "note")


def together(*parts: Block | Html | None) -> Block:
    """Several pieces as one."""
    found = [part if isinstance(part, Block) else Block(html=part) for part in parts if part is not None]
    return Block(
        html=joined([part.html for part in found]),
        pictures=tuple(picture for part in found for picture in part.pictures),
    )
