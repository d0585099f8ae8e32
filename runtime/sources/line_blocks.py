"""Divides chunks of UTF-8 into raw records: one whole document, or blocks of lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator

from runtime.sources.open_file import Unreadable

MAX_RECORD_BYTES = 256 << 20
UNLIMITED = sys.maxsize  # for reading: inspection has already checked the sizes

BETWEEN = b" \t\r\n,[]"  # the characters around the elements of an array

Records = tuple[list[bytes], list[int]]
"""Raw records, and the 1-based line where each one starts."""


def check_size(record_bytes: int, limit: int) -> None:
    """Raise Unreadable for a record over `limit` bytes."""
    if record_bytes > limit:
        raise Unreadable(f"one of its records is larger than {limit} bytes (max_record_bytes)")


def is_json(text: bytes, strict: bool = False) -> bool:
    """Whether this is one JSON value.

    Invalid UTF-8 is accepted, and raw control characters too unless `strict`: they make a record
    invalid, where it is parsed, but do not change the form of its file.
    """
    try:
        json.loads(text.decode(errors="replace"), strict=strict)
    except (ValueError, RecursionError):
        return False
    return True


def line_blocks(chunks: Iterable[bytes], limit: int = UNLIMITED) -> Iterator[bytes]:
    """The chunks regrouped so that each block ends with a newline; the last one may not.

    Raises Unreadable for a line over `limit` bytes.
    """
    pending, size = list[bytes](), 0
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        check_size(size + (chunk.find(b"\n") if end else len(chunk)), limit)
        if end:
            yield b"".join([*pending, chunk[:end]])
            pending, size = [], 0
        pending.append(chunk[end:])
        size += len(chunk) - end
    if rest := b"".join(pending):
        yield rest


def whole_text(chunks: Iterable[bytes], limit: int = UNLIMITED) -> Iterator[Records]:
    """All text as one record; no record when it is blank. Raises Unreadable over `limit` bytes."""
    pieces, size = list[bytes](), 0
    for chunk in chunks:
        pieces.append(chunk)
        size += len(chunk)
        check_size(size, limit)
    text = b"".join(pieces)
    if record := text.strip():
        yield [record], [1 + text.count(b"\n", 0, text.index(record[:1]))]
