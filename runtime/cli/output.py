"""Data on stdout: rows as an aligned table, JSON or CSV."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TextIO

from runtime.text.values import as_json, as_text, to_json, visible

Row = Sequence[Any]
NULL, CUT = "NULL", "…"
NARROWEST = 12  # terminal columns that a cut column keeps
AT_ONCE = 500  # rows written at a time


def emit(text: str) -> None:
    """Write data and flush: what follows may fail."""
    sys.stdout.write(text)
    sys.stdout.flush()


def emit_json(value: Any, *, lines: bool = False) -> None:
    """Print one JSON value, on one line if `lines`."""
    emit(to_json(value, indent=None if lines else 2) + "\n")


def emit_rows(columns: Sequence[str], rows: Iterable[Row], form: str, right: Collection[str] = ()) -> None:
    """Print rows as `form`: table, json or csv.

    A table aligns numbers to the right; `right` names columns with numbers as text.
    """
    if form == "table":
        emit_lines(aligned(columns, [list(row) for row in rows], right))
    elif form == "json":
        emit_lines(_objects(columns, rows))
    else:
        emit_lines(csv_lines(columns, rows))


def emit_lines(lines: Iterable[str]) -> None:
    """Print lines in chunks, so that a large result is never one string."""
    iterator = iter(lines)
    while chunk := list(islice(iterator, AT_ONCE)):
        emit("\n".join(chunk) + "\n")


def coloured(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours, and NO_COLOR is unset."""
    dumb = os.environ.get("TERM") == "dumb"
    return stream.isatty() and not dumb and not os.environ.get("NO_COLOR")


def csv_lines(columns: Sequence[str], rows: Iterable[Row], header: bool = True) -> Iterator[str]:
    """CSV as PostgreSQL writes it: NULL as nothing, an empty text as "".

    Only for a terminal are control characters escaped.
    """
    escape = visible if sys.stdout.isatty() else str
    if header:
        yield _csv_line(escape(c) for c in columns)
    for row in rows:
        yield _csv_line(None if (t := as_text(v)) is None else escape(t) for v in row)


def aligned(columns: Sequence[str], rows: Sequence[Row], right: Collection[str]) -> Iterator[str]:
    """The lines of a table. For a terminal they are cut to its width and coloured."""
    names = [visible(c) for c in columns]
    texts = [[NULL if (t := as_text(v)) is None else visible(t) for v in row] for row in rows]
    numeric = [c in right or _is_numeric([r[i] for r in rows]) for i, c in enumerate(columns)]
    widths = [max(map(_cells, column)) for column in zip(names, *texts, strict=True)]
    if sys.stdout.isatty():
        widths = _fitting(widths, numeric, shutil.get_terminal_size().columns)
    colour = coloured(sys.stdout)
    yield _line(names, widths, numeric, ["1" if colour else ""] * len(names))
    yield "  ".join("─" * width for width in widths)
    for row, cells in zip(rows, texts, strict=True):
        styles = ["2" if colour and value is None else "" for value in row]
        yield _line(cells, widths, numeric, styles)


def _objects(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """A JSON array, one object per line. A repeated column name gets a number: keys must differ."""
    keys = [c if c not in columns[:i] else f"{c}_{i + 1}" for i, c in enumerate(columns)]
    opening = "["
    for row in rows:
        yield opening + to_json({k: as_json(v) for k, v in zip(keys, row, strict=True)})
        opening = ","
    yield "]" if opening == "," else "[]"


def _csv_line(cells: Iterable[str | None]) -> str:
    return ",".join("" if cell is None else _csv_cell(cell) for cell in cells)


def _csv_cell(text: str) -> str:
    is_plain = text and not any(mark in text for mark in ',"\r\n')
    return text if is_plain else f'"{text.replace(chr(34), chr(34) * 2)}"'


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool], styles: Sequence[str]) -> str:
    placed = [_styled(_placed(c, w, r), s) for c, w, r, s in zip(cells, widths, right, styles, strict=True)]
    return "  ".join(placed).rstrip()


def _placed(text: str, width: int, right: bool) -> str:
    if _cells(text) > width:
        from rich.cells import set_cell_size

        text = set_cell_size(text, width - 1) + CUT
    gap = " " * (width - _cells(text))
    return gap + text if right else text + gap


def _styled(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if style else text


def _fitting(widths: Sequence[int], numeric: Sequence[bool], room: int) -> list[int]:
    """The widths, the widest texts cut until all fit. Numbers are not cut: part of one is another."""
    fitted = list(widths)
    texts = [i for i, is_number in enumerate(numeric) if not is_number]
    for _ in range(sum(fitted) + 2 * len(fitted) - 2 - room):
        widest = max(texts, key=lambda i: fitted[i], default=None)
        if widest is None or fitted[widest] <= NARROWEST:
            break
        fitted[widest] -= 1
    return fitted


def _cells(text: str) -> int:
    """Width in terminal columns: 2 for a Chinese character, 0 for an accent."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _is_numeric(values: Iterable[Any]) -> bool:
    from decimal import Decimal

    present = [v for v in values if v is not None]
    return bool(present) and all(
        isinstance(v, int | float | Decimal) and not isinstance(v, bool) for v in present
    )
