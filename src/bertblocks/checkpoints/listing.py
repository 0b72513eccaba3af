"""Many names or problems in one message: the first of them spelled out, and how many more there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bertblocks.errors import CheckpointError


def listed(items: Iterable[str], limit: int = 20, *, separator: str = ", ") -> str:
    """Join texts; after `limit` of them only how many there are.

    Args:
        items: What to list; "nothing" where there is none.
        limit: How many to spell out.
        separator: Between them.
    """
    known = list(items)
    rest = [f"and {len(known) - limit:,} more"] if len(known) > limit else []
    return separator.join([*known[:limit], *rest]) or "nothing"


def raise_together(heading: str, problems: Mapping[str, list[str]]) -> None:
    """Raise one error that names every problem by its kind, if there is any.

    Args:
        heading: What has the problems, without a colon.
        problems: The names that each kind of problem concerns.

    Raises:
        CheckpointError: If one of the lists is not empty.
    """
    lines = [f"  {kind} ({len(names)}): {listed(names)}" for kind, names in problems.items() if names]
    if lines:
        raise CheckpointError("\n".join([heading + ":", *lines]))
