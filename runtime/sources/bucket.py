"""Source files in an S3 bucket."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from runtime.errors import SourceError
from runtime.s3.client import bucket_of
from runtime.s3.config import SCHEME, Access, split
from runtime.s3.failures import map_s3_errors
from runtime.sources.filesystem import MARKED, Found, archive_and_member, is_hidden, is_source_name, left_out

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta
    from obstore.store import S3Store

PAGE = 1000  # objects per response of S3's list request
CHUNK_BYTES = 1 << 20


class S3Files:
    """The objects below a prefix as files. Thread-safe."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._buckets: dict[str, S3Store] = {}
        self._lock = threading.Lock()

    def walk(self, root: str) -> Iterator[Found]:
        """Every object below `root`, or `root` itself when it is a source.

        Raises SourceError when there is no such object, StorageError when the bucket cannot be listed.
        """
        with map_s3_errors(root, self._access):
            single = self._single(root)
            yield from [single] if single else self._below(root)

    def open(self, uri: str) -> BinaryIO:
        """A seekable stream, requested on the first read. Its reads raise OSError, StorageError."""
        return S3Object(self._bucket(uri), uri, self._access)  # type: ignore[return-value]

    def _bucket(self, uri: str) -> S3Store:
        name = split(uri)[0]
        with self._lock:
            if name not in self._buckets:
                self._buckets[name] = bucket_of(uri, self._access, signed=not self._access.anonymous)
            return self._buckets[name]

    def _single(self, root: str) -> Found | None:
        import obstore

        key = split(root)[1]
        if not is_source_name(key):
            return None
        try:
            return _found(root, key.rpartition("/")[2], obstore.head(self._bucket(root), key))
        except FileNotFoundError:
            return None

    def _below(self, root: str) -> Iterator[Found]:
        bucket, prefix = split(root)
        exists = False
        for page in self._bucket(root).list(prefix or None, chunk_size=PAGE):
            for item in page:
                exists = True
                path = item["path"][len(prefix) :].lstrip("/")
                if path.endswith("/") or not path or any(map(is_hidden, path.split("/"))):
                    continue
                uri = f"{SCHEME}{bucket}/{item['path']}"
                yield _found(uri, path, item) if is_source_name(path) else left_out(path, uri)
        if not exists:
            raise SourceError(
                f"The source {root} does not exist: the bucket holds nothing under that name. Check the "
                "name; upper and lower case differ."
            )


class S3Object(io.RawIOBase):
    """A seekable stream of one object: one GET request, and one more after each seek.

    The first read fixes the version by its ETag: a later request fails when the object has changed.
    """

    def __init__(self, bucket: S3Store, uri: str, access: Access) -> None:
        self._bucket, self._uri, self._access = bucket, uri, access
        self._key = split(uri)[1]
        self._at = 0
        self._etag: str | None = None
        self._chunks: Iterator[bytes] | None = None
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position. SEEK_END costs a HEAD request for the size."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}.get(whence)
        at = offset + (self._size() if base is None else base)
        if at != self._at:
            self._at, self._chunks, self._rest = at, None, memoryview(b"")
        return at

    def read(self, size: int | None = -1) -> bytes:
        """Read `size` bytes, fewer only at the end; the rest of the object by default.

        Raises OSError for a problem of this object, StorageError for one of the bucket or server.
        """
        limit = -1 if size is None else size
        parts, length = list[bytes](), 0
        while limit < 0 or length < limit:
            if not self._rest and not self._more():
                break
            part = bytes(self._rest[: limit - length] if limit >= 0 else self._rest)
            self._rest = self._rest[len(part) :]
            parts.append(part)
            length += len(part)
        self._at += length
        return b"".join(parts)

    def _more(self) -> bool:
        with map_s3_errors(self._uri, self._access), _objects_own_fault():
            if self._chunks is None:
                self._chunks = self._requested()
            self._rest = memoryview(next(self._chunks, b""))
        return bool(self._rest)

    def _requested(self) -> Iterator[bytes]:
        import obstore

        if self._at and self._at >= self._size():
            return iter(())
        options: GetOptions = {}
        if self._at:
            options["range"] = {"offset": self._at}
        if self._etag:
            options["if_match"] = self._etag
        answer = obstore.get(self._bucket, self._key, options=options)
        self._etag = answer.meta["e_tag"]
        return (bytes(chunk) for chunk in answer.stream(min_chunk_size=CHUNK_BYTES))

    def _size(self) -> int:
        import obstore

        return int(obstore.head(self._bucket, self._key)["size"])


def _found(uri: str, path: str, item: ObjectMeta) -> Found:
    etag = (item["e_tag"] or "").strip('"')
    marked = MARKED if archive_and_member(uri) else None
    return Found(path, uri, item["size"], f"{etag}:{item['size']}", marked)


@contextmanager
def _objects_own_fault() -> Iterator[None]:
    """Map errors that concern this object alone to OSError with a readable reason."""
    from obstore.exceptions import PermissionDeniedError, PreconditionError

    try:
        yield
    except FileNotFoundError:
        raise OSError("it is no longer there") from None
    except PreconditionError:
        raise OSError("it changed while being read") from None
    except PermissionDeniedError as error:
        if "AccessDenied" in str(error):  # other codes mean wrong credentials, which concern every object
            raise OSError("access is denied") from None
        raise
