"""Locations of the lake and its sources: absolute local paths and s3:// URIs."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

from runtime.settings.secrets import shown
from runtime.text.nearest import nearest

CODE_FOLDERS = (
    *("bronze", "silver", "gold", "runtime", "conf", "tests", "docs"),
    *("notebooks", "benchmarks", ".git"),
)
# At least two letters, so that a drive letter is no scheme. One slash is enough: Hadoop writes file:/a.
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(/.*)", re.DOTALL)
_BUCKET_AND_KEY = re.compile(r"//([A-Za-z0-9][A-Za-z0-9._-]*)(/.*)?", re.DOTALL)
# Delta's libraries take these for parts of a URL or a glob: they fail, or open another folder.
_MISREAD = set("%#?*[]|\\")
_PLAIN_KEY = r"[A-Za-z0-9/._=~-]"
_FILE_PATH = re.compile(r"(?://(?:localhost)?)?(/[^/].*|/)", re.DOTALL)


def resolved(location: str, folder: Path) -> str:
    """The absolute local path or s3:// URI of a location, without a trailing slash.

    A relative path is relative to `folder`. Raises ValueError with the expected forms.
    """
    uri = _URI.fullmatch(location)
    if uri is None:
        return _absolute(folder, location)
    scheme, rest = uri[1].lower(), uri[2]
    if scheme in ("s3", "s3a") and (parts := _BUCKET_AND_KEY.fullmatch(rest)):
        return f"s3://{parts[1]}{parts[2] or ''}".rstrip("/")
    if scheme == "file" and (parts := _FILE_PATH.fullmatch(rest)):
        return _absolute(folder, unquote(parts[1]))
    raise ValueError(f"expected a local path, file:///path or s3://bucket/key, got {shown(location)}")


def _absolute(folder: Path, location: str) -> str:
    path = Path(location)
    # A shell expands ~ only at the start of a word, so not in --set lake=~/lake.
    path = path.expanduser() if path.parts[:1] == ("~",) else path
    if not path.is_absolute():
        try:
            path = folder.absolute() / path
        except FileNotFoundError:
            raise ValueError(
                f"{shown(location)} is taken from the working folder, which was deleted: change to another "
                "folder, or give a whole path"
            ) from None
    return os.path.normpath(path)


def is_s3(location: str) -> bool:
    """Whether a resolved location is in S3, not a local path."""
    return location.startswith("s3://")


def misplaced(lake: str, sources: Mapping[str, str | None], root: Path) -> Iterator[str]:
    """Messages for a lake at a location that cannot work: in or around a source, in the code, a bad name."""
    if not is_s3(lake):
        yield from _misplaced_locally(lake, root)
    elif {"", ".", ".."} & set(lake.removeprefix("s3://").split("/")):
        yield f"lake {lake} has an empty part, . or .. in its key, which Delta's libraries refuse"
    elif misread := sorted(set(re.sub(_PLAIN_KEY, "", lake.removeprefix("s3://")))):
        yield (
            f"lake {lake} has {' '.join(map(repr, misread))} in its key, which Delta's libraries write in "
            "different ways: letters, digits and / . _ - = ~ are safe"
        )
    for name, source in sources.items():
        if source is None:
            continue
        if _within(lake, source):
            yield f"lake {lake} lies in {name} {source}: its own files would be read as records"
        elif _within(source, lake):
            yield f"{name} {source} lies in the lake {lake}: keep what is delivered apart from it"


def _misplaced_locally(lake: str, root: Path) -> Iterator[str]:
    try:
        Path(lake).stat()
    except (FileNotFoundError, PermissionError):
        pass
    except NotADirectoryError:
        yield f"lake {lake} lies below a file: choose a path of folders"
        return
    except OSError as error:  # a loop of links, a name too long
        yield f"lake {lake} cannot be: {os.strerror(error.errno or 0)}"
        return
    if misread := sorted(set(lake) & _MISREAD):
        yield f"lake {lake} has {' '.join(misread)} in its path, which Delta's libraries misread: rename it"
    if Path(lake).is_file():
        yield f"lake {lake} is a file: expected a folder"
    place = Path(os.path.realpath(lake))
    if place == root.resolve():
        yield f"lake {lake} is the repository itself: choose a folder such as data/lakehouse"
    for folder in CODE_FOLDERS:
        if place.is_relative_to((root / folder).resolve()):
            yield f"lake {lake} lies in the code folder {folder}: choose one such as data/lakehouse"


def missing(location: str) -> str | None:
    """The message for a local path that does not exist, with the nearest name; None when it exists."""
    if is_s3(location) or os.access(location, os.F_OK):
        return None
    name, parent = Path(location).name, Path(location).parent
    while not os.access(parent, os.F_OK):
        name, parent = parent.name, parent.parent
    readable = parent.is_dir() and os.access(parent, os.R_OK)
    names = [path.name for path in parent.iterdir()] if readable else []
    return f"{location} does not exist{nearest(name, names, f'{parent}/'.replace('//', '/'))}"


def _within(inner: str, outer: str) -> bool:
    if is_s3(inner) or is_s3(outer):
        return f"{inner}/".startswith(f"{outer}/")
    # Symbolic links are resolved, because two paths may name the same folder.
    return Path(os.path.realpath(inner)).is_relative_to(os.path.realpath(outer))
