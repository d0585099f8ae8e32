"""The file system interface, and the rules for file names.

Another kind of storage is one more class that implements `FileSystem`, as `LocalDisk` does. The naming
rules are here because a walk must not descend into folders it skips.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Protocol

SUFFIXES = (".json", ".jsonl", ".ndjson", ".log", ".zip")
PACKED = (".gz", ".bz2", ".zst")
LEFT_OUT = "its name ends in nothing that is read"
MARKED = "its path contains '.zip!', which marks members of archives; rename it"

_SOURCE = re.compile(r"\.(json|jsonl|ndjson|log)(\.(gz|bz2|zst))?\Z|\.zip\Z", re.IGNORECASE)
_MEMBER_MARK = re.compile(r"\.zip(!)", re.IGNORECASE)


class Found(NamedTuple):
    """A file of a walk.

    `path` is relative to the root, with "/"; `uri` is absolute; `size` is in bytes. `signature` is a
    cheap identity: a file with the same signature is not read again. `error` is the reason why the
    file cannot be read, LEFT_OUT for a name that is never read, None for a readable file.
    """

    path: str
    uri: str
    size: int
    signature: str
    error: str | None = None


class FileSystem(Protocol):
    """Storage of source files."""

    def walk(self, root: str) -> Iterator[Found]:
        """Every file at or below `root` that is not hidden, in any order. Raises SourceError."""
        ...

    def open(self, uri: str) -> BinaryIO:
        """The file's bytes, seekable. Raises OSError."""
        ...


def is_source_name(name: str) -> bool:
    """Whether a file of this name holds records; case does not matter."""
    return _SOURCE.search(name) is not None


def is_archive_name(name: str) -> bool:
    """Whether a file of this name is a zip archive."""
    return name.lower().endswith(".zip")


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is skipped, as Spark's readers skip it."""
    return name.startswith(("_", ".")) or name.endswith("._COPYING_")


def left_out(path: str, uri: str) -> Found:
    return Found(path, uri, 0, "", LEFT_OUT)


def archive_and_member(uri: str) -> tuple[str, str] | None:
    """(archive, member name) of a URI `archive.zip!name`; None for any other file."""
    mark = _MEMBER_MARK.search(uri)
    return (uri[: mark.start(1)], uri[mark.end(1) :]) if mark else None
