"""What of a declaration goes into JSON: the options that differ from their default.

So a later version's new option, as long as nobody uses it, leaves a file readable by this one. The price is
that a default, once released, never changes (tests/blocks/test_option_defaults.py holds each).
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any


def changed_options(declaration: Any) -> dict[str, Any]:
    """A dataclass's values by name, without those that are their field's default."""
    values = {field.name: getattr(declaration, field.name) for field in fields(declaration)}
    defaults = {field.name: field.default for field in fields(declaration)}
    return {name: value for name, value in values.items() if value != defaults[name]}
