"""Decompresses streams in chunks. The format is recognised by magic bytes, not by the file's name."""

from __future__ import annotations

import bz2
import io
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol

CHUNK_BYTES = 1 << 20
MAGIC_BYTES = 4  # the longest of the magic numbers below
GZIP, BZIP2, ZSTD = b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd"
CUT = "Compressed file ended before the end-of-stream marker was reached"

Note = Callable[[str], object]


class CorruptData(Exception):
    """Compressed data is truncated or damaged."""


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def packing_of(first: bytes) -> bytes | None:
    """The magic bytes that a compressed file begins with; None for an uncompressed one."""
    return next((magic for magic in (GZIP, BZIP2, ZSTD) if first.startswith(magic)), None)


def unpacked(stream: BinaryIO, magic: bytes, chunk_bytes: int, note: Note) -> Iterator[bytes]:
    """Decompress a stream to its end. Raises CorruptData, OSError.

    Bytes after the end of gzip and bzip2 data are skipped and reported to `note`.
    """
    if magic == ZSTD:
        return _zstd(stream, chunk_bytes)
    return _members(stream, magic, _Gzip if magic == GZIP else bz2.BZ2Decompressor, chunk_bytes, note)


def _members(
    stream: BinaryIO, magic: bytes, make: Callable[[], _Unpacker], chunk_bytes: int, note: Note
) -> Iterator[bytes]:
    """Decompress concatenated gzip or bzip2 members as one content."""
    data = stream.read(CHUNK_BYTES)
    while data.startswith(magic):
        unpacker = make()
        while not unpacker.eof:
            try:
                chunk = unpacker.decompress(data, chunk_bytes)
            except (OSError, zlib.error) as error:
                raise CorruptData(str(error)) from error
            if chunk:
                yield chunk
            data = b""
            if unpacker.needs_input and not unpacker.eof and not (data := stream.read(CHUNK_BYTES)):
                raise CorruptData(CUT)
        data = unpacker.unused_data
        # Zero padding after the data, as on tapes, is no content.
        while len(data := data.lstrip(b"\0")) < len(magic) and (more := stream.read(CHUNK_BYTES)):
            data += more
    if behind := len(data) + _drained(stream):
        note(f"{behind:,} bytes behind the end of its compressed data were passed over")


def _drained(stream: BinaryIO) -> int:
    """Read the rest, because the file's digest covers it too; return its bytes."""
    return sum(len(chunk) for chunk in iter(lambda: stream.read(CHUNK_BYTES), b""))


class _Gzip:
    """zlib's decompressor with the interface of bz2's."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self._is_full = False

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        # When the last chunk was full, zlib may hold more output although it has consumed all input.
        return not self._inner.unconsumed_tail and not self._is_full

    def decompress(self, data: bytes, max_length: int) -> bytes:
        chunk = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self._is_full = len(chunk) == max_length
        return chunk


def _zstd(stream: BinaryIO, chunk_bytes: int) -> Iterator[bytes]:
    import pyarrow as pa

    source: Any = _Guarded(stream)
    with pa.CompressedInputStream(pa.PythonFile(source, mode="r"), "zstd") as opened:
        while True:
            try:
                chunk = opened.read(chunk_bytes)
            except OSError as error:
                if source.error:
                    raise source.error from error
                raise CorruptData(str(error).splitlines()[0]) from error
            if not chunk:
                return
            yield chunk


class _Guarded(io.RawIOBase):
    """A stream that keeps its own OSError, to distinguish it from an error of the compressed data."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except OSError as error:
            self.error = error
            raise
