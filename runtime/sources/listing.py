"""Lists the files and zip members of a source, from names and stat alone."""

from __future__ import annotations

import os
import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runtime.sources.filesystem import (
    LEFT_OUT,
    FileSystem,
    Found,
    is_archive_name,
    is_hidden,
    is_source_name,
    left_out,
)
from runtime.sources.local_disk import LocalDisk

ENCRYPTED = 0x1
TELL_EVERY = 1000
ProgressCallback = Callable[[str, int], object]


@dataclass(frozen=True, slots=True)
class Listed:
    """A file or zip member that can be read.

    `path` is relative to the root ("archive.zip!member" in a zip), `uri` is absolute, `size` is in
    bytes (uncompressed for a member). `signature` is made from stat; for a member from its CRC and
    size, which do not change when the archive is copied.
    """

    source: str
    path: str
    uri: str
    size: int
    signature: str


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file or member with the name of a source that cannot be read; `error` is the reason."""

    source: str
    path: str
    uri: str
    signature: str
    error: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a source; both tuples are sorted bytewise by path.

    `left_out` counts the files whose name is not a source's; `example` is the first path of them.
    """

    files: tuple[Listed, ...]
    bad: tuple[BadFile, ...]
    left_out: int = 0
    example: str = ""


def list_source(
    source: str, root: str, disk: FileSystem | None = None, on_progress: ProgressCallback | None = None
) -> Listing:
    """List the files of `source` at or below `root`. Raises SourceError when `root` does not exist.

    `on_progress` is called with the source and the number of files so far, every TELL_EVERY files.
    """
    files, bad, others, example = [], [], 0, ""
    for number, file in enumerate(_with_members(disk or LocalDisk(), root), start=1):
        if on_progress and number % TELL_EVERY == 0:
            on_progress(source, number)
        path, uri, size, signature, error = file
        if error is None:
            files.append(Listed(source, path, uri, size, signature))
        elif error == LEFT_OUT:
            others += 1
            example = min(example or path, path)
        else:
            bad.append(BadFile(source, path, uri, signature, error))
    files.sort(key=lambda listed: os.fsencode(listed.path))
    bad.sort(key=lambda listed: os.fsencode(listed.path))
    return Listing(tuple(files), tuple(bad), others, example)


def _with_members(disk: FileSystem, root: str) -> Iterator[Found]:
    for file in disk.walk(root):
        if file.error is None and is_archive_name(file.path):
            yield from _members(disk, file)
        else:
            yield file


def _members(disk: FileSystem, archive: Found) -> Iterator[Found]:
    try:
        with disk.open(archive.uri) as file, zipfile.ZipFile(file) as opened:
            # An archive may contain a name twice; the later member replaces the earlier, as in unzip.
            members = {member.filename: member for member in opened.infolist()}
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, struct.error, RuntimeError) as error:
        yield archive._replace(error=f"the zip archive cannot be read: {error}")
        return
    for name, member in members.items():
        if _is_visible(name) and not member.is_dir():
            yield _member(archive, member)


def _member(archive: Found, member: zipfile.ZipInfo) -> Found:
    path, uri = f"{archive.path}!{member.filename}", f"{archive.uri}!{member.filename}"
    if not is_source_name(member.filename):
        return left_out(path, uri)
    return Found(
        path=path,
        uri=uri,
        size=member.file_size,
        signature=f"crc32:{member.CRC:08x}:{member.file_size}",
        error=_why_unfit(member),
    )


def _is_visible(name: str) -> bool:
    return not any(is_hidden(part) for part in _parts(name) if part not in (".", ".."))


def _parts(name: str) -> list[str]:
    return re.split(r"[/\\]", name)


def _why_unfit(member: zipfile.ZipInfo) -> str | None:
    parts = _parts(member.filename)
    if ".." in parts or parts[0] == "" or parts[0].endswith(":"):
        return "the member's name points outside its archive"
    if member.flag_bits & ENCRYPTED:
        return "the member is encrypted; unpack the archive"
    if is_archive_name(parts[-1]):
        return "an archive inside an archive is not read; unpack the outer one"
    return None
