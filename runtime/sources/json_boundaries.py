"""Divides text that is not one record per line: array elements, and concatenated documents.

The scan is string-aware and vectorised: it locates the quotes, brackets and commas of a whole chunk
at once. It does not parse, so invalid JSON is returned too and reaches the quarantine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.sources.line_blocks import BETWEEN, UNLIMITED, Records, check_size, is_json

_NEWLINE, _QUOTE, _COMMA, _OPEN_ARRAY, _CLOSE_ARRAY = b'\n",[]'
_STRUCTURAL = np.isin(np.arange(256), list(b'"{}[],\n'))
_LINE_OBJECT = re.compile(rb"\n[ \t]*(\{[^\n]*\})[ \t\r,\]]*(?=\n|\Z)")
_STEP = np.zeros(256, dtype=np.int64)
_STEP[list(b"{[")] = 1
_STEP[list(b"}]")] = -1


def values(chunks: Iterable[bytes], limit: int = UNLIMITED) -> Iterator[Records]:
    """The elements of top-level arrays and the other top-level values, one list per chunk.

    An unterminated last value is returned as it is. Line numbers are distinct and increasing: a value
    that starts on the line of the previous one counts as one line later. Raises Unreadable for a value
    over `limit` bytes.
    """
    tokens, cutter = _TokenFinder(), _Cutter(limit)
    for chunk in tokens.whole_escapes(chunks):
        ends, begins = _boundaries(tokens.find(chunk))
        yield from cutter.feed(chunk, ends, begins)
    yield from cutter.finish()


class _Tokens(NamedTuple):
    """Brackets and commas outside strings, with the depth after each.

    `in_array`: whether the last value opened at the top level is an array.
    """

    at: NDArray[np.int64]
    kind: NDArray[np.uint8]
    depth: NDArray[np.int64]
    in_array: NDArray[np.bool_]


def _boundaries(tokens: _Tokens) -> tuple[list[int], list[int]]:
    """The offsets where values end, and where the next values begin; between them are only separators."""
    at, kind, depth, in_array = tokens
    comma = (kind == _COMMA) & ((depth == 0) | (depth == 1) & in_array)
    opening = (_STEP[kind] > 0) & (depth == 1)
    closing = (_STEP[kind] < 0) & (depth == 0)
    chosen = comma | opening | closing
    # A top-level object includes its braces; an array's own brackets belong to no element.
    first = (opening & (kind != _OPEN_ARRAY))[chosen]
    own = (closing & ~(in_array & (kind == _CLOSE_ARRAY)))[chosen]
    return (at[chosen] + own).tolist(), (at[chosen] + 1 - first).tolist()


def _parts(record: bytes) -> Iterator[tuple[int, bytes]]:
    """(offset, record) of the record, split where it is truncated and runs on into whole lines of objects."""
    if not _LINE_OBJECT.search(record) or is_json(record):
        yield 0, record
        return
    begin = 0
    for line in _LINE_OBJECT.finditer(record):
        if is_json(line[1]):
            if cut := record[begin : line.start()].strip():
                yield begin, cut
            yield line.start(1), line[1]
            begin = line.end()
    if rest := record[begin:].lstrip(BETWEEN):
        yield len(record) - len(rest), rest


class _TokenFinder:
    """Finds tokens; keeps the depth, and whether the text is inside a string, between chunks."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._in_array = False

    @staticmethod
    def whole_escapes(chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same text, regrouped so that no chunk ends between a backslash and the escaped character."""
        rest = b""
        for chunk in chunks:
            text = rest + chunk
            odd = (len(text) - len(text.rstrip(b"\\"))) % 2
            rest = text[len(text) - odd :]
            yield text[: len(text) - odd]
        yield rest

    def find(self, chunk: bytes) -> _Tokens:
        plain = chunk.replace(b"\\\\", b"__").replace(b'\\"', b"__")
        text = np.frombuffer(plain, np.uint8)
        at = np.flatnonzero(_STRUCTURAL[text])
        kind = text[at]
        quote, newline = kind == _QUOTE, kind == _NEWLINE
        quotes = np.cumsum(quote) + self._in_string
        # JSON strings contain no raw newline, so an unterminated string ends there and damages one element.
        before = np.maximum.accumulate(np.where(newline, quotes, 0))
        outside = (quotes - before) % 2 == 0
        if len(at):
            self._in_string = not outside[-1]
        chosen = outside & ~quote & ~newline
        return self._with_depth(at[chosen], kind[chosen])

    def _with_depth(self, at: NDArray[np.int64], kind: NDArray[np.uint8]) -> _Tokens:
        step = _STEP[kind]
        level = self._depth + np.cumsum(step)
        # A surplus closing bracket must not shift the depth of the rest of the file.
        depth = level - np.minimum(np.minimum.accumulate(level), 0) if len(level) else level
        opener = np.where((step > 0) & (depth == 1), np.arange(1, len(at) + 1), 0)
        latest = np.maximum.accumulate(opener)
        in_array = np.where(latest > 0, kind[latest - 1] == _OPEN_ARRAY, self._in_array)
        if len(at):
            self._depth, self._in_array = int(depth[-1]), bool(in_array[-1])
        return _Tokens(at, kind, depth, in_array)


class _Cutter:
    """Cuts values out of chunks; buffers the text after the last boundary."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._pending_line = 1
        self._last_line = 0

    def feed(self, chunk: bytes, ends: list[int], begins: list[int]) -> Iterator[Records]:
        check_size(self._pending_bytes + (ends[0] if ends else len(chunk)), self._limit)
        self._pending.append(chunk)
        self._pending_bytes += len(chunk)
        if ends:
            offset = self._pending_bytes - len(chunk)
            yield self._cut([offset + end for end in ends], [offset + begin for begin in begins])

    def finish(self) -> Iterator[Records]:
        size = self._pending_bytes
        yield self._cut([size], [size])

    def _cut(self, ends: list[int], begins: list[int]) -> Records:
        text = b"".join(self._pending)
        records, starts = [], []
        for begin, end in zip([0, *begins], ends, strict=False):
            if record := text[begin:end].lstrip():
                for offset, part in _parts(record.rstrip()):
                    records.append(part)
                    starts.append(end - len(record) + offset)
        newlines = np.flatnonzero(np.frombuffer(text, np.uint8) == _NEWLINE)
        lines = self._distinct(self._pending_line + np.searchsorted(newlines, starts))
        self._pending = [text[begins[-1] :]]
        self._pending_bytes = len(self._pending[0])
        self._pending_line += int(np.searchsorted(newlines, begins[-1]))
        return records, lines

    def _distinct(self, lines: NDArray[np.int64]) -> list[int]:
        order = np.arange(len(lines))
        floor = np.maximum(lines - order, self._last_line + 1)
        distinct: list[int] = (np.maximum.accumulate(floor) + order).tolist()
        self._last_line = distinct[-1] if distinct else self._last_line
        return distinct
