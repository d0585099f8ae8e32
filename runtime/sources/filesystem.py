"""What the package asks of a place that holds files, and which names it looks for there.

`FileSystem` is the whole interface: another place is one more class like `LocalDisk`. The naming
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
    """A file; `error` says why it cannot be read, None when it can, LEFT_OUT when nobody tries.

    `path` is relative to the root with "/", `uri` absolute, `size` in bytes, and `signature` a
    cheap identity: while it stays the same, the file need not be read again.
    """

    path: str
    uri: str
    size: int
    signature: str
    error: str | None = None


class FileSystem(Protocol):
    """A place that holds source files."""

    def walk(self, root: str) -> Iterator[Found]:
        """Every file at or below `root` that is not hidden, in any order. Raises SourceError."""
        ...

    def open(self, uri: str) -> BinaryIO:
        """The file's bytes, seekable. Raises OSError."""
        ...


def is_source_name(name: str) -> bool:
    """Whether a file of this name holds records, in upper case or lower."""
    return _SOURCE.search(name) is not None


def is_archive_name(name: str) -> bool:
    """Whether a file of this name holds files."""
    return name.lower().endswith(".zip")


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is skipped, as Spark's readers skip it."""
    return name.startswith(("_", ".")) or name.endswith("._COPYING_")


def left_out(path: str, uri: str) -> Found:
    """A file of a name that is not read."""
    return Found(path, uri, 0, "", LEFT_OUT)


def archive_and_member(uri: str) -> tuple[str, str] | None:
    """The archive and the name in it of a member `archive.zip!name`; None for any other file."""
    mark = _MEMBER_MARK.search(uri)
    return (uri[: mark.start(1)], uri[mark.end(1) :]) if mark else None
