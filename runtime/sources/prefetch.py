"""The bytes of slices, in order; small slices in S3 are fetched concurrently."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from runtime.s3.config import is_s3
from runtime.sources.filesystem import archive_and_member
from runtime.sources.open_file import ContentReader
from runtime.sources.slicing import Slice

# A request to S3 takes tens of milliseconds, much longer than the transfer of this many bytes.
SMALL_BYTES = 256 * 1024
AT_ONCE = 32
Stored = tuple[Slice, Iterable[bytes]]


def fetched(pieces: Iterable[Slice], content: ContentReader) -> Iterator[Stored]:
    """Each slice and its bytes, in order. Taking the bytes raises Unreadable, StorageError."""
    ahead = deque[tuple[Slice, Future[list[bytes]]]]()
    with ThreadPoolExecutor(AT_ONCE) as pool:  # its threads start with the first submit
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
