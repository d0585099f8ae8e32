"""Formats numbers, sizes, times and changes for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def count(number: int, noun: str) -> str:
    """`1 file`, `1,234 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size_text(size: float) -> str:
    """A number of bytes in the unit that needs at most four digits, such as `1.5 MiB`."""
    unit = 0
    while size >= 1024 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:,.0f} {UNITS[unit]}" if size >= 10 or unit == 0 else f"{size:.1f} {UNITS[unit]}"


def when(at: str) -> str:
    """An ISO 8601 instant in UTC, to the second."""
    return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def whens(instants: Sequence[str]) -> list[str]:
    """Instants as `when` formats them; to the millisecond when two share a second."""
    seconds = [when(at) for at in instants]
    if len(set(seconds)) == len(seconds):
        return seconds
    return [f"{w}.{datetime.fromisoformat(at):%f}"[:-3] for w, at in zip(seconds, instants, strict=True)]


def change_text(change: Mapping[str, int]) -> str:
    """`+12 ~3 -1`: rows inserted, updated, deleted; zeros are left out."""
    signs = {"+": "inserted", "~": "updated", "-": "deleted"}
    return " ".join(f"{sign}{change[name]:,}" for sign, name in signs.items() if change[name])


def file_text(files: Mapping[str, int]) -> str:
    """`71 song_data + 30 log_data files`, or `no files`."""
    taken = {source: n for source, n in files.items() if n}
    listed = " + ".join(f"{n:,} {source}" for source, n in taken.items())
    return f"{listed} {'file' if sum(taken.values()) == 1 else 'files'}" if taken else "no files"
