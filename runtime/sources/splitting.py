"""Splits each line that is not exactly one record: several objects, an object and a comma, a bracket."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

from runtime.sources.json_boundaries import values
from runtime.sources.line_blocks import BETWEEN, UNLIMITED, Records, is_json, line_blocks

_SEVERAL = re.compile(rb"\}[ \t\r,\[\]]*\{")
_NEWLINE, _RETURN, _OPEN, _CLOSE = b"\n\r{}"


def split_line(line: bytes) -> list[bytes]:
    """The objects of a line with several, or with one between commas or brackets; otherwise the line.

    The last object may be truncated. A line with any other content is one record, unchanged.
    """
    text = line.strip()
    if is_json(text):
        return [line]
    if not text.lstrip(BETWEEN).startswith(b"{"):
        return [line] if text.strip(BETWEEN) else []
    pieces = [piece for records, _ in values([text]) for piece in records if piece not in (b"[", b"]")]
    return pieces if all(piece.startswith(b"{") for piece in pieces) else [line]


def needs_split(block: bytes) -> bool:
    """Whether `split_line` would change any line of a block."""
    # Most lines begin and end with a brace and contain no `}{`: those are one record each.
    text = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(text == _NEWLINE)
    first = text[np.concatenate([[0], ends[:-1] + 1])[: len(ends)]]
    last = text[np.maximum(ends - 1, 0)]
    last = np.where(last == _RETURN, text[np.maximum(ends - 2, 0)], last)
    usual = ((first == _OPEN) & (last == _CLOSE)) | (first == _NEWLINE)
    suspects = set(ends[~usual].tolist())
    suspects |= {block.find(b"\n", match.start()) for match in _SEVERAL.finditer(block)}
    return any(_is_split(block, end) for end in suspects)


def _is_split(block: bytes, end: int) -> bool:
    line = block[block.rfind(b"\n", 0, max(end, 0)) + 1 : end if end >= 0 else len(block)]
    return bool(line.strip()) and split_line(line) != [line]


def split_lines(chunks: Iterable[bytes], limit: int = UNLIMITED) -> Iterator[Records]:
    """The records of lines, one list per block. A further record of a line counts as one line later."""
    line, latest = 0, 0
    for block in line_blocks(chunks, limit):
        records, starts = list[bytes](), list[int]()
        for text in block.removesuffix(b"\n").split(b"\n"):
            line += 1
            for record in split_line(text.removesuffix(b"\r")) if text.strip() else ():
                latest = max(line, latest + 1)
                records.append(record)
                starts.append(latest)
        yield records, starts
