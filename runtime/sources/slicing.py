"""Cuts files into slices that one task reads, and distributes the slices over tasks."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from runtime.sources.inspection import Inspected
from runtime.sources.listing import Listed

OPENING_BYTES = 64 << 10


class Slice(NamedTuple):
    """`size` bytes of a file's content from byte `start` on; the 1-based line there is `first_line`."""

    uri: str
    delivery: int
    form: str
    encoding: str
    start: int
    size: int
    first_line: int


class Rest(NamedTuple):
    """The rest of a file that was cut: its byte offset, and the 1-based line that begins there."""

    start: int
    first_line: int


def cut(
    listed: Listed,
    inspected: Inspected,
    delivery: int,
    start: int = 0,
    first_line: int = 1,
    budget: int | None = None,
) -> tuple[tuple[Slice, ...], Rest | None]:
    """Cut a file from `start` on into slices of at most `budget` bytes in all; return them and the rest.

    A slice ends at a mark of the file, so slices are about as large as the distance of marks. At least
    one slice is cut even over budget; a file without marks is one slice. `start` and `first_line`
    are 0 and 1, or an earlier Rest of the same content.
    """
    inside = [Rest(*mark) for mark in inspected.marks if mark[0] > start]
    edges = [Rest(start, first_line), *inside, Rest(inspected.content_bytes, 0)]
    slices: list[Slice] = []
    for edge, following in pairwise(edges):
        if slices and budget is not None and following.start - start > budget:
            return tuple(slices), edge
        size = following.start - edge.start
        slices.append(
            Slice(
                listed.uri,
                delivery,
                inspected.form,
                inspected.encoding,
                edge.start,
                size,
                edge.first_line,
            )
        )
    return tuple(piece for piece in slices if piece.size), None


def pack(slices: Sequence[Slice], partitions: int) -> list[list[Slice]]:
    """At most `partitions` lists of about equal size, none empty, each in the order of `slices`.

    The result is deterministic: largest first, each slice into the list with the fewest bytes.
    """
    packed: list[list[int]] = [[] for _ in range(partitions)]
    emptiest = [(0, number) for number in range(partitions)]
    for index in sorted(range(len(slices)), key=lambda i: -slices[i].size):
        filled, number = emptiest[0]
        packed[number].append(index)
        # Opening a small file costs more than reading it, so each slice has a minimum weight.
        heapq.heapreplace(emptiest, (filled + slices[index].size + OPENING_BYTES, number))
    return [[slices[index] for index in sorted(indexes)] for indexes in packed if indexes]


def to_json(partitions: Iterable[Iterable[Slice]]) -> str:
    """The partitions as JSON, for an option of the data source."""
    return json.dumps([list(pieces) for pieces in partitions])


def from_json(text: str) -> list[list[Slice]]:
    return [[Slice(*piece) for piece in pieces] for pieces in json.loads(text)]
