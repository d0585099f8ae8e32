"""What the package asks of a place that holds files, and which names it looks for there.

`FileSystem` is the whole interface: another place is one more class like `LocalDisk`. The naming
rules are here because a walk must not descend into folders it skips.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Protocol

SUFFIXES = (".json", ".json.gz", ".zip")
MEMBER_MARK = ".zip!"


class Found(NamedTuple):
    """A file named like a source; `error` says why it cannot be read, None when it can.

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
        """Every file at or below `root` named like a source, in any order. Raises SourceError."""
        ...

    def open(self, uri: str) -> BinaryIO:
        """The file's bytes, seekable. Raises OSError."""
        ...


def is_source_name(name: str) -> bool:
    """Whether a file of this name holds records."""
    return name.endswith(SUFFIXES)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is skipped, as Spark's readers skip it."""
    return name.startswith(("_", "."))
