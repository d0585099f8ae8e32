"""The stored bytes of slices, in order; small ones that are far away are fetched several at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from runtime.s3.config import is_s3
from runtime.sources.filesystem import archive_and_member
from runtime.sources.open_file import ContentReader
from runtime.sources.slicing import Slice

# An object costs a round trip, tens of milliseconds, in which a slice of this size arrives many times over.
SMALL_BYTES = 256 * 1024
AT_ONCE = 32
Stored = tuple[Slice, Iterable[bytes]]


def fetched(pieces: Iterable[Slice], content: ContentReader) -> Iterator[Stored]:
    """Each slice and its bytes, in order. Taking the bytes raises Unreadable, StorageError."""
    ahead = deque[tuple[Slice, Future[list[bytes]]]]()
    with ThreadPoolExecutor(AT_ONCE) as pool:  # starts its threads only when something is to be fetched
        for piece in pieces:
            if _is_small_and_far(piece):
                ahead.append((piece, pool.submit(_whole, piece, content.beside())))
                if len(ahead) >= AT_ONCE:
                    yield _next(ahead)
            else:
                while ahead:
                    yield _next(ahead)
                yield piece, content.exactly(piece.uri, piece.start, piece.size)
        while ahead:
            yield _next(ahead)


def _is_small_and_far(piece: Slice) -> bool:
    return is_s3(piece.uri) and piece.size <= SMALL_BYTES and archive_and_member(piece.uri) is None


def _whole(piece: Slice, content: ContentReader) -> list[bytes]:
    with content:
        return list(content.exactly(piece.uri, piece.start, piece.size))


def _next(ahead: deque[tuple[Slice, Future[list[bytes]]]]) -> Stored:
    piece, future = ahead.popleft()
    return piece, _when_there(future)


def _when_there(future: Future[list[bytes]]) -> Iterator[bytes]:
    yield from future.result()
