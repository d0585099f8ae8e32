"""A profile as lines of text: `run --profile`, `history --profile`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runtime.cli.output import aligned

PART = ("table", "step", "times", "seconds", "cpu", "rows", "files", "bytes")
COUNTED = PART[2:]


def lines_of(profile: Mapping[str, Any]) -> Iterator[str]:
    """A table of the parts in order, and their total below."""
    rows = [shown(part) for part in profile["parts"]]
    total = shown({"step": "in all", "seconds": profile["seconds"], "cpu": profile["cpu"]})
    yield from aligned(PART, [*rows, total], COUNTED)


def shown(part: Mapping[str, Any]) -> list[str]:
    """A part as text, empty where there is no count."""
    return [_text(part.get(name)) for name in PART]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return (
        f"{value:.2f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )
