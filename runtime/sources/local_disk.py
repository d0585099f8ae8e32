"""Source files on local disk."""

# Plain os: pathlib has no scandir, and creating its objects would take most of the listing time.
# ruff: noqa: PTH100, PTH112, PTH116, PTH118, PTH119, PTH123, PTH208

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple
from urllib.parse import unquote, urlsplit

from runtime.errors import SourceError
from runtime.sources.filesystem import (
    MARKED,
    SUFFIXES,
    Found,
    archive_and_member,
    is_hidden,
    is_source_name,
    left_out,
)

SECOND = 1_000_000_000
FINE_TICK = 0.01  # seconds; kernels take file times from a timer that ticks every 1 to 10 ms


class LocalDisk:
    """Paths and `file://` URIs; symbolic links are followed, each folder once."""

    def open(self, uri: str) -> BinaryIO:
        """The file at an absolute path. Raises OSError."""
        return open(uri, "rb")

    def walk(self, root: str) -> Iterator[Found]:
        """Every file below `root`, or `root` itself when it is a source. Raises SourceError."""
        top = _local_path(root)
        if os.path.isdir(top):
            return _walk(top)
        name = os.path.basename(top)
        if os.path.lexists(top) and is_source_name(name):
            return iter([_found(top, name)])
        raise SourceError(_why_not_a_source(top))


def seconds_to_settle(signature: str, now: float) -> float:
    """Seconds until any further write must change a file's signature: two ticks of the disk's clock.

    A file that is written, listed and written again within one tick keeps its size and times, so the
    second write would go unnoticed.
    """
    changed = int(signature.rpartition(":")[2])
    is_coarse = changed % SECOND == 0
    tick = (2 if changed % (2 * SECOND) == 0 else 1) if is_coarse else FINE_TICK
    return min(2 * tick, max(0.0, changed / SECOND + 2 * tick - now))


class _Folder(NamedTuple):
    path: str
    real: str
    prefix: str


def _local_path(root: str) -> str:
    if "://" not in root:
        return os.path.abspath(root)
    parts = urlsplit(root)
    if parts.scheme != "file":
        raise SourceError(
            f"The source {root} cannot be listed: {parts.scheme}:// is not supported, only paths "
            "on local disk are. Copy the files to this machine and name their folder."
        )
    return os.path.abspath(unquote(parts.path))


def _walk(top: str) -> Iterator[Found]:
    folders, links = [_Folder(top, os.path.realpath(top), "")], list[_Folder]()
    seen: set[str] = set()
    while folders or links:
        # Links are followed last, so a folder that a link also leads to keeps its own paths.
        if not folders:
            links.sort(key=lambda link: os.fsencode(link.prefix), reverse=True)
            folders.append(links.pop())
        folder = folders.pop()
        if folder.real not in seen:
            seen.add(folder.real)
            yield from _scan(folder, folders, links)


def _scan(folder: _Folder, folders: list[_Folder], links: list[_Folder]) -> Iterator[Found]:
    try:
        entries = list(os.scandir(folder.path))
    except OSError as error:
        yield from _unlistable(folder, error)
        return
    for entry in entries:
        name = entry.name
        if is_hidden(name):
            continue
        if not _is_folder(entry):
            path = folder.prefix + name
            yield _found(entry.path, path) if is_source_name(name) else _left_out(entry.path, path)
        elif entry.is_symlink():
            real = os.path.realpath(entry.path)
            links.append(_Folder(entry.path, real, f"{folder.prefix}{name}/"))
        else:
            inner = os.path.join(folder.real, name)
            folders.append(_Folder(entry.path, inner, f"{folder.prefix}{name}/"))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _unlistable(folder: _Folder, error: OSError) -> Iterator[Found]:
    if not folder.prefix:
        raise SourceError(
            f"The source {folder.path} cannot be listed: {error.strerror}. "
            "Give this user the right to read the folder."
        ) from error
    if not isinstance(error, FileNotFoundError):
        reason = f"the folder cannot be listed: {error.strerror}"
        yield _escaped(Found(folder.prefix, folder.path, 0, str(error.errno), reason))


def _found(uri: str, path: str) -> Found:
    try:
        status = os.stat(uri)
    except OSError as error:
        return _escaped(_unreachable(uri, path, error))
    signature = f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"
    reason = _why_unfit(uri, status.st_mode)
    file = Found(path, uri, status.st_size, signature, reason)
    return _escaped(file) if reason else file


def _left_out(uri: str, path: str) -> Found:
    return _escaped(left_out(path, uri))


def _unreachable(uri: str, path: str, error: OSError) -> Found:
    try:
        status = os.lstat(uri)
    except OSError:
        return Found(path, uri, 0, "gone", f"it cannot be reached: {error.strerror}")
    signature = f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"
    kind = "a broken symbolic link" if stat.S_ISLNK(status.st_mode) else "not reachable"
    return Found(path, uri, 0, signature, f"it is {kind}: {error.strerror}")


def _why_unfit(uri: str, mode: int) -> str | None:
    if not stat.S_ISREG(mode):
        return "it is not a regular file"
    if not os.access(uri, os.R_OK):
        return "permission denied"
    if archive_and_member(uri):
        return MARKED
    return None if _is_text(uri) else "its name is not valid UTF-8; rename it"


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escaped(file: Found) -> Found:
    """The file with `path` and `uri` as valid UTF-8: other bytes are escaped with backslashes."""
    path, uri = (os.fsencode(name).decode(errors="backslashreplace") for name in file[:2])
    return file._replace(path=path, uri=uri)


def _why_not_a_source(top: str) -> str:
    if os.path.lexists(top):
        return f"The source {top} is not a folder and not a file named *{' or *'.join(SUFFIXES)}."
    parent, missing = os.path.split(top)
    while not os.path.isdir(parent):
        parent, missing = os.path.split(parent)
    message = f"The source {top} does not exist: there is no {missing!r} in {parent}."
    nearest = difflib.get_close_matches(missing, os.listdir(parent), n=1)
    return f"{message} Did you mean {os.path.join(parent, nearest[0])}?" if nearest else message
