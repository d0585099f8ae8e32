"""Detects from the beginning of a file how its text is divided into records: its form."""

from __future__ import annotations

import json
from collections.abc import Iterator

from runtime.sources.json_boundaries import values
from runtime.sources.line_blocks import is_json
from runtime.sources.splitting import split_line

LINES = "lines"
SPLIT = "split"
DOCUMENT = "document"
VALUES = "values"

LOOK_BYTES = 64 << 20


def form_of(chunks: Iterator[bytes]) -> str:
    """The form of UTF-8 text. Reads no more chunks than necessary, and about `LOOK_BYTES` at most.

    - VALUES: an array, or concatenated documents over several lines;
    - LINES: one record per line, when the first line is a JSON value, or is damaged but another line
      is a JSON object; also text without any record;
    - DOCUMENT: one record, valid or damaged, over any number of lines.

    `inspection` turns LINES into SPLIT when a line holds several objects.
    """
    seen = _up_to_first_line(chunks)
    text = b"".join(seen).lstrip()
    first_line = text.partition(b"\n")[0]
    if text.startswith(b"["):
        if _opens_array(first_line):
            return VALUES
        seen += _up_to(chunks, LOOK_BYTES)
        return LINES if any(map(_is_object, b"".join(seen).split(b"\n"))) else VALUES
    if not first_line or len(first_line) > LOOK_BYTES or is_json(first_line) or _is_object(first_line):
        return LINES
    seen += _up_to(chunks, LOOK_BYTES)
    return _form_without_first_line(seen)


def _opens_array(line: bytes) -> bool:
    """Whether a line that begins with `[` may begin an array, unlike a log line `[WARN] …`."""
    inside = line[1:].lstrip()
    if inside[:1] in (b"", b"{", b"[", b"]"):
        return True
    try:
        text = inside.decode(errors="replace")
        _, end = json.JSONDecoder(strict=False).raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return text[end:].lstrip()[:1] in ("", ",", "]")


def _form_without_first_line(seen: list[bytes]) -> str:
    first = next((records[0] for records, _ in values(seen) if records), b"")
    is_document = first.startswith(b"{") and is_json(first, strict=True)
    # A line inside a document may be an object too, so a document over several lines is checked first.
    if is_document and b"\n" in first:
        return VALUES
    if is_document or any(map(_is_object, b"".join(seen).split(b"\n"))):
        return LINES
    return DOCUMENT


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
    """Whether a line holds only objects; the last of several may be truncated."""
    first, *_ = split_line(line.strip()) or [b""]
    return first.startswith(b"{") and is_json(first)
