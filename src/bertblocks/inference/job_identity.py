"""Whether a job is the one whose parts lie in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bertblocks.data.places import Place
from bertblocks.errors import ConfigError
from bertblocks.inference.job_report import Say
from bertblocks.inference.table_job import TableJob


def check_same(place: Place, record: dict[str, Any], job: TableJob, say: Say) -> None:
    """Make sure that the parts in a folder are this very job's.

    Args:
        place: The folder.
        record: What its job wrote about itself.
        job: The job that is to go on.
        say: Told of what differs without harm.

    Raises:
        ConfigError: If it was another job, with what differs.
    """
    identity = job.identity
    before = {key: record.get(key) for key in identity}
    if differing := list(_differences(_that_counts(dict(before)), _that_counts(dict(identity)))):
        raise ConfigError(
            f"{place} holds the parts of another job, which differs in {'; '.join(differing[:5])}. Give the "
            "same model, input and options to go on with it, or --restart to begin anew."
        )
    # A part that is done without an error is the same where errors would be passed over.
    before_it = (before["options"] or {}).get("on_bad_row")
    if before_it not in ("error", identity["options"]["on_bad_row"]):
        raise ConfigError(
            f"{place} holds the parts of a job in which bad rows were passed over; go on with "
            "on_error='skip', or begin anew with --restart."
        )
    if differing := list(_differences(record.get("environment"), dict(job.environment))):
        say(f"The job began with other {'; '.join(differing)}: the last digits of later parts may differ.")


def _that_counts(identity: dict[str, Any]) -> dict[str, Any]:
    """An identity with its options by the names that people give them, and one name for what may change."""
    options = dict(identity.pop("options", None) or {})
    on_bad_row = options.pop("on_bad_row", None)
    return {
        **identity,
        **options,
        "on_error": "stop or skip" if on_bad_row in ("error", "skip") else on_bad_row,
    }


def _differences(before: Any, now: Any, name: str = "") -> Iterator[str]:
    """What two values of JSON differ in, in words."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from _differences(old, new, f"{name}[{index}]")
    elif before != now:
        yield f"{name} ({before!r:.80} then, {now!r:.80} now)"
