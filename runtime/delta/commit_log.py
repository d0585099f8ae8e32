"""The files of a Delta table: numbered JSON commits, and the data files that they add.

They are never modified, so a digest that differs from the published one means damage.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from zlib import crc32

from runtime.s3.client import bucket_of
from runtime.s3.config import AWS, Access, is_s3, split

CHUNK_BYTES = 1 << 20
COMMIT = re.compile(r"(\d{20})\.json")


@dataclass(frozen=True)
class Log:
    """The log of the table at `uri`."""

    uri: str
    access: Access = AWS

    def versions(self) -> list[int]:
        """The versions with a commit file, in order."""
        matches = (COMMIT.fullmatch(name) for name in self._names())
        return sorted(int(match[1]) for match in matches if match)

    def read(self, version: int) -> bytes | None:
        """The bytes of a commit file, None if it does not exist."""
        name = f"{version:020}.json"
        if is_s3(self.uri):
            return self._object(f"{self._folder}/{name}")
        path = Path(self._folder, name)
        return path.read_bytes() if path.is_file() else None

    def put(self, version: int, body: bytes) -> None:
        """Commit these bytes as a version. Raises FileExistsError if another writer was faster."""
        if is_s3(self.uri):
            self._put_object(f"{self._folder}/{version:020}.json", body)
            return
        temporary = Path(self._folder, f".{uuid.uuid4().hex}.tmp")
        temporary.write_bytes(body)
        try:
            os.link(temporary, Path(self._folder, f"{version:020}.json"))
        finally:
            temporary.unlink()

    def marks(self, paths: Sequence[str]) -> list[str]:
        """A checksum of each data file, '' for a file that does not exist.

        On disk the CRC-32 of the bytes; in a bucket a digest of the ETag.
        """
        with ThreadPoolExecutor(max_workers=8) as pool:
            return list(pool.map(self._mark, paths))

    def missing(self, paths: Sequence[str]) -> list[str]:
        """The paths among these without a data file."""
        if is_s3(self.uri):
            return [path for path, mark in zip(paths, self.marks(paths), strict=True) if not mark]
        return [path for path in paths if not Path(self.uri, unquote(path)).exists()]

    def _mark(self, path: str) -> str:
        name = unquote(path)  # the log holds paths as URIs
        if is_s3(self.uri):
            return self._tag(f"{self.uri}/{name}")
        try:
            with Path(self.uri, name).open("rb") as file:
                checksum = 0
                while some := file.read(CHUNK_BYTES):
                    checksum = crc32(some, checksum)
        except FileNotFoundError:
            return ""
        return f"{checksum:08x}"

    def _tag(self, uri: str) -> str:
        try:
            tag = self._bucket.head(split(uri)[1])["e_tag"]
        except FileNotFoundError:
            return ""
        return digest_of(str(tag).encode())[:8]

    @property
    def _folder(self) -> str:
        return f"{self.uri}/_delta_log"

    @cached_property
    def _bucket(self) -> Any:
        return bucket_of(self.uri, self.access)

    def _names(self) -> list[str]:
        if not is_s3(self.uri):
            folder = Path(self._folder)
            return [file.name for file in folder.iterdir()] if folder.is_dir() else []
        pages = self._bucket.list(split(self._folder)[1] + "/")
        return [item["path"].rpartition("/")[2] for page in pages for item in page]

    def _object(self, uri: str) -> bytes | None:
        try:
            return bytes(self._bucket.get(split(uri)[1]).bytes())
        except FileNotFoundError:
            return None

    def _put_object(self, uri: str, body: bytes) -> None:
        from obstore.exceptions import AlreadyExistsError

        try:
            self._bucket.put(split(uri)[1], body, mode="create")
        except AlreadyExistsError as taken:
            raise FileExistsError(uri) from taken


def added(body: bytes) -> list[str]:
    """The paths of the data files that a commit adds, in order. Raises ValueError, KeyError."""
    return [add["path"] for add in adds(body)]


def digest_of(body: bytes) -> str:
    """The first 16 hexadecimal digits of SHA-256: detects accidents and edits, not an attacker."""
    return hashlib.sha256(body).hexdigest()[:16]


def adds(body: bytes) -> list[Mapping[str, Any]]:
    """The `add` actions of a commit, in order. Raises ValueError."""
    return [action["add"] for action in actions(body) if "add" in action]


def actions(body: bytes) -> list[Mapping[str, Any]]:
    """The actions of a commit, in order. Raises ValueError for a commit that is not whole."""
    return [json.loads(line) for line in body.splitlines()]
