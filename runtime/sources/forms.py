"""How a file's text is divided into records, judged from its beginning."""

from __future__ import annotations

import json
from collections.abc import Iterator

from runtime.sources.scanning import values

LINES = "lines"
DOCUMENT = "document"
VALUES = "values"

LOOK_BYTES = 64 << 20

_LINE_DECODER = json.JSONDecoder(strict=False)


def form_of(chunks: Iterator[bytes]) -> str:
    """The form of UTF-8 text, reading no further than it must and at most some `LOOK_BYTES`.

    - VALUES: an array, or documents over several lines one after another;
    - LINES: a record a line, when the first line is a JSON value, or is damaged but another line
      is a JSON object; also for text without any record;
    - DOCUMENT: one record, whole or damaged, over any number of lines.
    """
    seen = _up_to_first_line(chunks)
    text = b"".join(seen).lstrip()
    if text.startswith(b"["):
        return VALUES
    first_line = text.partition(b"\n")[0]
    if not first_line or len(first_line) > LOOK_BYTES or _is_json(first_line):
        return LINES
    seen += _up_to(chunks, LOOK_BYTES)
    return _form_without_first_line(seen)


def _form_without_first_line(seen: list[bytes]) -> str:
    first = next((found[0] for found, _ in values(seen) if found), b"")
    is_document = first.startswith(b"{") and _is_json(first, strict=True)
    # A line of a document may be an object itself, so a document over several lines goes first.
    if is_document and b"\n" in first:
        return VALUES
    if any(_is_object(line) for line in b"".join(seen).split(b"\n")):
        return LINES
    return VALUES if is_document else DOCUMENT


def _up_to_first_line(chunks: Iterator[bytes]) -> list[bytes]:
    """Chunks up to the end of the first line that is not blank, or up to `LOOK_BYTES`."""
    seen, size, started = list[bytes](), 0, False
    for chunk in chunks:
        text = chunk if started else chunk.lstrip()
        started = started or bool(text)
        if started:
            seen.append(text)
            size += len(text)
        if b"\n" in text or text.startswith(b"[") or size > LOOK_BYTES:
            break
    return seen


def _up_to(chunks: Iterator[bytes], limit: int) -> list[bytes]:
    seen, size = list[bytes](), 0
    for chunk in chunks:
        seen.append(chunk)
        size += len(chunk)
        if size > limit:
            break
    return seen


def _is_object(line: bytes) -> bool:
    line = line.strip()
    return line.startswith(b"{") and line.endswith(b"}") and _is_json(line)


def _is_json(text: bytes, strict: bool = False) -> bool:
    # Damaged characters and raw control characters make a record invalid, not its file another
    # form: both are forgiven here, and judged where the record is parsed.
    decoder = json.JSONDecoder() if strict else _LINE_DECODER
    try:
        decoder.decode(text.decode(errors="replace"))
    except (ValueError, RecursionError):
        return False
    return True
