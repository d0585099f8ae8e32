"""Reads any location: local disk or S3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from runtime.s3.chosen import Chosen, chosen_access
from runtime.s3.config import AWS, Access, is_s3
from runtime.sources.bucket import S3Files
from runtime.sources.filesystem import FileSystem, Found
from runtime.sources.local_disk import LocalDisk


class FileSystems:
    """A FileSystem for every location, which selects local disk or S3 by the URI's scheme."""

    def __init__(self, access: Access = AWS) -> None:
        self._disk, self._buckets = LocalDisk(), S3Files(access)

    @classmethod
    def reached(cls, chosen: Chosen) -> FileSystems:
        """File systems with S3 access from the settings."""
        return cls(chosen_access(chosen))

    def walk(self, root: str) -> Iterator[Found]:
        """Every source at or below `root`. Raises SourceError, StorageError."""
        return self._of(root).walk(root)

    def open(self, uri: str) -> BinaryIO:
        """The file's bytes, seekable. Raises OSError, StorageError."""
        return self._of(uri).open(uri)

    def _of(self, uri: str) -> FileSystem:
        return self._buckets if is_s3(uri) else self._disk
