"""Reads slices as Arrow batches of records, each with its file, line and delivery."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from runtime.sources.file_format import DOCUMENT, LINES, SPLIT, VALUES
from runtime.sources.json_boundaries import values
from runtime.sources.jsonpaths import Renames, renamed
from runtime.sources.line_blocks import line_blocks, whole_text
from runtime.sources.open_file import ContentReader, Unreadable, as_utf8
from runtime.sources.prefetch import fetched
from runtime.sources.slicing import Slice
from runtime.sources.splitting import split_lines

SCHEMA = pa.schema(
    [
        pa.field("raw", pa.string()),
        pa.field("_source_file", pa.string()),
        pa.field("_source_line", pa.int64()),
        pa.field("_delivery", pa.int64()),
    ]
)

RECORDS_OF = {DOCUMENT: whole_text, VALUES: values, SPLIT: split_lines}
_NEWLINE = 10
BATCH_BYTES = 4 << 20
NO_RENAMES: Renames = {}

_Lines = tuple[pa.Array, NDArray[np.int64]]
_BLANKS = np.isin(np.arange(256), list(b" \t\r\n\v\f"))


class _Part(NamedTuple):
    """Consecutive records of one slice, and the 1-based line of each."""

    piece: Slice
    raw: pa.Array
    lines: NDArray[np.int64]


def read_slices(
    pieces: Iterable[Slice], content: ContentReader | None = None, renames: Renames = NO_RENAMES
) -> Iterator[pa.RecordBatch]:
    """The records of all slices in order, as batches of `SCHEMA` of about 4 to 8 MiB.

    A batch may span slices; a longer record makes a larger batch. Invalid UTF-8 is escaped with
    backslashes, which makes the record invalid JSON. Raises Unreadable when a file cannot be read as
    it was inspected.
    """
    waiting, size = list[_Part](), 0
    with nullcontext(content) if content else ContentReader() as opened:
        for part in (part for stored in fetched(pieces, opened) for part in _parts(*stored, renames)):
            waiting.append(part)
            size += part.raw.nbytes
            if size >= BATCH_BYTES:
                yield _batch(waiting)
                waiting, size = [], 0
    if waiting:
        yield _batch(waiting)


def _batch(parts: list[_Part]) -> pa.RecordBatch:
    of_part = np.repeat(np.arange(len(parts)), [len(part.lines) for part in parts])
    files = pa.array([part.piece.uri for part in parts], pa.string())
    deliveries = pa.array([part.piece.delivery for part in parts], pa.int64())
    columns = [
        parts[0].raw if len(parts) == 1 else pa.concat_arrays([part.raw for part in parts]),
        files.take(pa.array(of_part)),
        pa.array(np.concatenate([part.lines for part in parts])),
        deliveries.take(pa.array(of_part)),
    ]
    batch = pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
    # Copied to memory that Arrow owns. Freeing a buffer of NumPy or Python takes the GIL. Sail holds the
    # GIL while its reader waits for the consumer that frees the batch: a deadlock.
    return batch.copy_to(pa.default_cpu_memory_manager())


def _parts(piece: Slice, stored: Iterable[bytes], renames: Renames) -> Iterator[_Part]:
    text = as_utf8(stored, piece.encoding, at_start=piece.start == 0)
    records = _lines(text, piece.first_line) if piece.form == LINES else _found(piece.form, text)
    try:
        for raw, lines in records:
            if len(raw):
                yield _Part(piece, _as_ours(raw, renames), lines)
    except Unreadable as error:
        raise Unreadable(f"{piece.uri} was inspected and can no longer be read: {error}") from error


def _as_ours(raw: pa.Array, renames: Renames) -> pa.Array:
    return pa.array([renamed(r, renames) for r in raw.to_pylist()], pa.string()) if renames else raw


def _found(form: str, text: Iterable[bytes]) -> Iterator[_Lines]:
    for records, starts in RECORDS_OF[form](text):
        yield _as_strings(records), np.array(starts, dtype=np.int64)


def _lines(text: Iterable[bytes], first_line: int) -> Iterator[_Lines]:
    for block in line_blocks(text):
        yield _block_lines(block, first_line)
        first_line += block.count(b"\n")


def _as_strings(records: Iterable[bytes]) -> pa.Array:
    decoded = [record.decode(errors="backslashreplace") for record in records]
    return pa.array(decoded, pa.string())


def _block_lines(block: bytes, first_line: int) -> _Lines:
    """The lines of a block that are not blank, without line ends, and their line numbers."""
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    if not block.endswith(b"\n"):
        block = block.removesuffix(b"\r") + b"\n"
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == _NEWLINE)
    raw = _strings_between(block, ends) if _is_utf8(block) else _as_strings(_split(block))
    lines = np.arange(first_line, first_line + len(ends), dtype=np.int64)
    blank = _blank_lines(block, ends)
    if len(blank):
        filled = np.delete(np.arange(len(ends)), blank)
        return raw.take(pa.array(filled)), lines[filled]
    return raw, lines


def _strings_between(block: bytes, ends: NDArray[np.int64]) -> pa.Array:
    """The lines of a block as one string array, without a copy per line."""
    # An Arrow array stores its strings without gaps: newlines are removed, and offsets shift accordingly.
    offsets = np.zeros(len(ends) + 1, dtype=np.int32)
    offsets[1:] = ends - np.arange(len(ends))
    data = pa.py_buffer(block.replace(b"\n", b""))
    return pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), data)


def _split(block: bytes) -> list[bytes]:
    return block.removesuffix(b"\n").split(b"\n")


def _blank_lines(block: bytes, ends: NDArray[np.int64]) -> list[int]:
    starts = np.concatenate([[0], ends[:-1] + 1])
    # A blank line begins with white space or is only its newline; the others need no check.
    suspects = np.flatnonzero(_BLANKS[np.frombuffer(block, np.uint8)[starts]])
    return [int(i) for i in suspects if not block[starts[i] : ends[i]].strip()]


def _is_utf8(block: bytes) -> bool:
    try:
        return block.isascii() or bool(block.decode())
    except UnicodeDecodeError:
        return False
