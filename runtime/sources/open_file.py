"""The uncompressed bytes of a source file: plain, compressed or a zip member."""

from __future__ import annotations

import codecs
import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import BinaryIO

from runtime.errors import LakehouseError
from runtime.sources.filesystem import FileSystem, archive_and_member
from runtime.sources.local_disk import LocalDisk
from runtime.sources.packing import CHUNK_BYTES, MAGIC_BYTES, CorruptData, packing_of, unpacked

UTF_8, UTF_16_LE, UTF_16_BE = "utf-8", "utf-16-le", "utf-16-be"
_BOMS = {UTF_8: codecs.BOM_UTF8, UTF_16_LE: codecs.BOM_UTF16_LE, UTF_16_BE: codecs.BOM_UTF16_BE}


class Unreadable(LakehouseError):
    """A file that cannot be ingested; the message is the reason, as one clause."""


@dataclass
class Stored:
    """Observes a file's stored form while its content is read.

    `seen` is called with the stored bytes, except for zip members. `is_packed`: compressed, or a zip
    member. `notes` are remarks for the user.
    """

    seen: Callable[[bytes], object] = lambda _: None
    is_packed: bool = False
    notes: list[str] = field(default_factory=list)


class ContentReader:
    """Opens files for reading and keeps the last archive open between its members.

    A context manager. Not thread-safe: see `beside`.
    """

    def __init__(self, disk: FileSystem | None = None) -> None:
        self._disk = disk or LocalDisk()
        self._archive_uri = ""
        self._archive = ExitStack()
        self._opened: zipfile.ZipFile | None = None

    def __enter__(self) -> ContentReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._archive.close()
        self._archive_uri, self._opened = "", None

    def beside(self) -> ContentReader:
        """A new reader of the same file system, for another thread."""
        return ContentReader(self._disk)

    def chunks(
        self,
        uri: str,
        start: int = 0,
        chunk_bytes: int = CHUNK_BYTES,
        stored: Stored | None = None,
    ) -> Iterator[bytes]:
        """Content from byte `start` on, in chunks of at most `chunk_bytes`. Raises Unreadable.

        Compression is recognised by a file's first bytes; a compressed file can only be read from its start.
        """
        stored = Stored() if stored is None else stored
        with ExitStack() as opened, _readable():
            stream = self._open(uri, opened, stored)
            if start:
                stream.seek(start)
            else:
                first = stream.read(MAGIC_BYTES)
                stream = _Begun(first, stream)  # type: ignore[assignment]
                if magic := packing_of(first):
                    stored.is_packed = True
                    yield from unpacked(stream, magic, chunk_bytes, stored.notes.append)
                    return
            while chunk := stream.read(chunk_bytes):
                yield chunk

    def exactly(self, uri: str, start: int, size: int) -> Iterator[bytes]:
        """`size` bytes of content from `start` on. Raises Unreadable when there are fewer."""
        left = size
        for chunk in self.chunks(uri, start, min(CHUNK_BYTES, max(size, 1))):
            yield chunk[:left]
            left -= min(left, len(chunk))
            if not left:
                return
        if left:
            raise Unreadable(f"it changed while being read: {left} bytes fewer than before")

    def _open(self, uri: str, opened: ExitStack, stored: Stored) -> BinaryIO:
        if place := archive_and_member(uri):
            archive, member = place
            stored.is_packed = True
            return opened.enter_context(self._archive_at(archive).open(member))  # type: ignore[return-value]
        stream = opened.enter_context(self._disk.open(uri))
        return _Tapped(stream, stored.seen)  # type: ignore[return-value]

    def _archive_at(self, uri: str) -> zipfile.ZipFile:
        if self._opened is None or uri != self._archive_uri:
            self.close()
            file = self._archive.enter_context(self._disk.open(uri))
            self._opened = self._archive.enter_context(zipfile.ZipFile(file))
            self._archive_uri = uri
        return self._opened


class _Tapped(io.RawIOBase):
    """A stream that passes every chunk read from it to `seen`."""

    def __init__(self, stream: BinaryIO, seen: Callable[[bytes], object]) -> None:
        self._stream, self._seen = stream, seen

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        self._seen(chunk)
        return chunk

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)


class _Begun(io.RawIOBase):
    """A stream with its first bytes put back after they were read."""

    def __init__(self, first: bytes, stream: BinaryIO) -> None:
        self._first, self._stream = first, stream

    def read(self, size: int = -1) -> bytes:
        if 0 <= size <= len(self._first):
            first, self._first = self._first[:size], self._first[size:]
            return first
        first, self._first = self._first, b""
        return first + self._stream.read(size - len(first) if size > 0 else -1)


@contextmanager
def _readable() -> Iterator[None]:
    """Map errors of decompression and of the disk to Unreadable with a readable reason."""
    try:
        yield
    except (EOFError, zlib.error, CorruptData) as error:
        raise Unreadable(f"its compressed data is cut or corrupt: {error}") from error
    except (zipfile.BadZipFile, KeyError) as error:
        raise Unreadable(f"its archive is corrupt: {error.args[0]}") from error
    except (NotImplementedError, RuntimeError) as error:
        raise Unreadable(f"its archive cannot be unpacked: {error}") from error
    except OSError as error:
        raise Unreadable(f"it cannot be read: {error.strerror or error}") from error


def encoding_of(first: bytes) -> str:
    """The encoding of a file by its byte order mark; UTF-8 when there is none."""
    return next((name for name, bom in _BOMS.items() if first.startswith(bom)), UTF_8)


def as_utf8(chunks: Iterable[bytes], encoding: str, at_start: bool = True) -> Iterator[bytes]:
    """The text as UTF-8 without byte order mark; bytes that cannot be decoded are escaped.

    UTF-8 passes unchanged, with its invalid bytes: the reader handles those record by record.
    """
    if at_start:
        chunks = _without_bom(chunks, _BOMS[encoding])
    if encoding == UTF_8:
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="backslashreplace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode(errors="backslashreplace")
    yield decoder.decode(b"", final=True).encode(errors="backslashreplace")


def _without_bom(chunks: Iterable[bytes], bom: bytes) -> Iterator[bytes]:
    rest = iter(chunks)
    yield next(rest, b"").removeprefix(bom)
    yield from rest
