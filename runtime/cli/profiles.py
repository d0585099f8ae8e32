"""A profile as lines of text: `run --profile`, `history --profile`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runtime.cli.output import aligned

PART = ("table", "step", "times", "seconds", "cpu", "rows", "files", "bytes")
COUNTED = PART[2:]


def lines_of(profile: Mapping[str, Any]) -> Iterator[str]:
    """A table of the parts, in the order they came, and the whole below."""
    rows = [shown(part) for part in profile["parts"]]
    whole = shown({"step": "in all", "seconds": profile["seconds"], "cpu": profile["cpu"]})
    yield from aligned(PART, [*rows, whole], COUNTED)


def shown(part: Mapping[str, Any]) -> list[str]:
    """A part as text, nothing where nobody counted."""
    return [_text(part.get(name)) for name in PART]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return (
        f"{value:.2f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )
