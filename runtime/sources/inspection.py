"""Inspects a new file in one streaming read: its digest, its form, and where it can be cut."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain, tee

from runtime.sources.file_format import DOCUMENT, LINES, SPLIT, VALUES, form_of
from runtime.sources.filesystem import PACKED, archive_and_member
from runtime.sources.json_boundaries import values
from runtime.sources.kinds import TextWalk
from runtime.sources.line_blocks import MAX_RECORD_BYTES, check_size, line_blocks, whole_text
from runtime.sources.listing import Listed
from runtime.sources.open_file import UTF_8, ContentReader, Stored, Unreadable, as_utf8, encoding_of
from runtime.sources.packing import CHUNK_BYTES
from runtime.sources.splitting import split_lines

MARK_BYTES = 16 << 20
MAX_UNPACKED_BYTES = 2 << 30

_RECORDS_OF = {LINES: line_blocks, SPLIT: split_lines, DOCUMENT: whole_text, VALUES: values}


@dataclass(frozen=True, slots=True)
class Inspected:
    """The properties of an inspected file.

    `digest` identifies the stored content, independently of stat. `form` is one of `file_format`'s,
    `encoding` a codec name, `content_bytes` the uncompressed size. A mark is (byte offset of a line
    start, its 1-based line number), without the start of the file; only a file that can be read from
    the middle has marks. `lacking` is the reason why a file that is not blank holds no record, `note`
    a remark about anything else unusual; both may be empty.
    """

    digest: str
    form: str
    encoding: str
    content_bytes: int
    marks: tuple[tuple[int, int], ...] = ()
    lacking: str = ""
    note: str = ""


def inspect(
    listed: Listed,
    content: ContentReader | None = None,
    *,
    max_record_bytes: int = MAX_RECORD_BYTES,
    max_unpacked_bytes: int = MAX_UNPACKED_BYTES,
    mark_bytes: int = MARK_BYTES,
) -> Inspected:
    """Read a file to its end. Marks are about `mark_bytes` apart, never closer.

    Pass the same `content` to many calls, so that an archive is opened once for all its members.
    Raises Unreadable when the file cannot be read to its end, holds a record over `max_record_bytes`,
    or is packed and holds more than `max_unpacked_bytes`.
    """
    with nullcontext(content) if content else ContentReader() as opened:
        limits = (max_record_bytes, max_unpacked_bytes)
        inspected, size_limit_met = _walk(listed, opened, limits, mark_bytes)
        if not size_limit_met:
            _check_records(opened, listed.uri, inspected, max_record_bytes)
    return inspected


def _walk(
    listed: Listed, content: ContentReader, limits: tuple[int, int], mark_bytes: int
) -> tuple[Inspected, bool]:
    """Inspect in one read; return also whether that read has checked the size of every record."""
    max_record_bytes, max_unpacked_bytes = limits
    digest = hashlib.sha256()
    stored = Stored(digest.update)
    chunks = content.chunks(listed.uri, 0, min(CHUNK_BYTES, max_record_bytes), stored)
    first = next(chunks, b"")
    chunks = chain([first], chunks)
    if stored.is_packed:
        chunks = _at_most(max_unpacked_bytes, chunks)
    encoding = encoding_of(first)
    ahead, chunks = tee(chunks)
    form = form_of(as_utf8(ahead, encoding))
    # Otherwise tee would buffer every chunk read below for this copy.
    del ahead
    can_enter = form == LINES and encoding == UTF_8 and not stored.is_packed
    walk = _LineWalk(mark_bytes, max_record_bytes) if can_enter else _Count()
    text = TextWalk(has_lines=form == LINES, may_be_rest=not listed.path.lower().endswith(PACKED))
    for chunk in as_utf8(walk.through(chunks), encoding):
        text.feed(chunk)
    text.finish()
    marks = walk.marks_inside()
    if text.is_split:
        form, marks = SPLIT, ()
    inspected = Inspected(
        listed.signature if archive_and_member(listed.uri) else f"sha256:{digest.hexdigest()}",
        form,
        encoding,
        walk.size,
        marks,
        text.lacking,
        "; ".join([*stored.notes, *text.notes]),
    )
    return inspected, can_enter or walk.size <= max_record_bytes


def _at_most(limit: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Pass the chunks. Raises Unreadable when they exceed `limit` bytes.

    A packed file cannot be cut into slices, so a large one, or a zip bomb, would exceed a batch.
    """
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise Unreadable(f"it unpacks to more than {limit} bytes (max_unpacked_bytes)")
        yield chunk


def _check_records(content: ContentReader, uri: str, inspected: Inspected, max_record_bytes: int) -> None:
    """Read the records of a file once more to check their sizes. Raises Unreadable."""
    chunk_bytes = min(CHUNK_BYTES, max_record_bytes)
    text = as_utf8(content.chunks(uri, chunk_bytes=chunk_bytes), inspected.encoding)
    deque[object](_RECORDS_OF[inspected.form](text, max_record_bytes), maxlen=0)


class _Count:
    """Counts the bytes of a file without marks."""

    def __init__(self) -> None:
        self.size = 0

    def through(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.feed(chunk)
            yield chunk

    def feed(self, chunk: bytes) -> None:
        self.size += len(chunk)

    def marks_inside(self) -> tuple[tuple[int, int], ...]:
        return ()


class _LineWalk(_Count):
    """Counts lines, marks some line starts, and checks the length of every line.

    Chunks must not exceed the size limit of a record: then only a line that spans chunks can exceed it.
    """

    def __init__(self, mark_bytes: int, max_record_bytes: int) -> None:
        super().__init__()
        self._mark_bytes, self._max_record_bytes = mark_bytes, max_record_bytes
        self._marks = list[tuple[int, int]]()
        self._next_mark = mark_bytes
        self._line = 1
        self._line_bytes = 0

    def feed(self, chunk: bytes) -> None:
        first, last = chunk.find(b"\n"), chunk.rfind(b"\n")
        check_size(self._line_bytes + (first if first >= 0 else len(chunk)), self._max_record_bytes)
        self._line_bytes = len(chunk) - last - 1 + (self._line_bytes if last < 0 else 0)
        self._mark(chunk)
        self._line += chunk.count(b"\n")
        super().feed(chunk)

    def _mark(self, chunk: bytes) -> None:
        while self.size + len(chunk) >= self._next_mark:
            newline = chunk.find(b"\n", max(0, self._next_mark - self.size - 1))
            if newline < 0:
                return
            offset = self.size + newline + 1
            self._marks.append((offset, self._line + chunk.count(b"\n", 0, newline) + 1))
            self._next_mark = offset + self._mark_bytes

    def marks_inside(self) -> tuple[tuple[int, int], ...]:
        return tuple(mark for mark in self._marks if mark[0] < self.size)
