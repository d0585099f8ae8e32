"""Every error a user can see, and the exit code it ends with.

LakehouseError             3  internal: something the project should have prevented
├── UsageError             2  the command line or a statement is wrong
├── ConfigError            2  settings are wrong; lists every problem found
├── SourceError            2  a source is missing or cannot be listed
├── StorageError           2  S3 refuses, or does not answer
├── EngineError            2  the engine cannot start (Java, jars, memory)
├── TargetError            2  PostgreSQL cannot be reached, or refuses an export
├── DeclarationError       2  a table's declaration is wrong
├── SchemaChanged          2  the code's tables no longer fit the lake's
├── CheckFailed            1  a check that the user ran found a problem
├── LayerError             2  a table's own code or SQL fails
├── LakeDamaged            2  files of the lake are missing or unreadable
├── DiskFull               2  no space is left on the lake's disk
├── NotWritable            2  this user may not write to the lake
├── LeaseHeld              4  another run is writing to this lake
└── Fenced                 3  another writer committed to the lake during this run

A message is one paragraph: what, where, why, and what to do about it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EDQUOT, EFBIG, ENOENT, ENOSPC, EPERM, EROFS


class LakehouseError(Exception):
    """The base class of every error that this project raises."""

    exit_code = 3


class UsageError(LakehouseError):
    """The command line, an argument or a statement is wrong."""

    exit_code = 2


class ConfigError(LakehouseError):
    """The settings are wrong; the message lists every problem."""

    exit_code = 2


class SourceError(LakehouseError):
    """A source is missing or cannot be listed."""

    exit_code = 2


class StorageError(LakehouseError):
    """S3 refuses a request or does not answer."""

    exit_code = 2


class EngineError(LakehouseError):
    """The engine cannot start or cannot be reached."""

    exit_code = 2


class TargetError(LakehouseError):
    """PostgreSQL cannot be reached, or refuses an export."""

    exit_code = 2


class DeclarationError(LakehouseError):
    """A table's declaration is wrong; the message lists every problem."""

    exit_code = 2


class SchemaChanged(LakehouseError):
    """A table's declaration differs from the table in the lake."""

    exit_code = 2


class CheckFailed(LakehouseError):
    """A check that the user ran found a problem."""

    exit_code = 1


class LayerError(LakehouseError):
    """The code or the SQL that declares a table fails."""

    exit_code = 2


class LakeDamaged(LakehouseError):
    """Files of the lake are missing or unreadable: another program removed or changed them."""

    exit_code = 2


class DiskFull(LakehouseError):
    """No space is left on the disk that the lake is on."""

    exit_code = 2


class NotWritable(LakehouseError):
    """The user of this process may not write to the lake."""

    exit_code = 2


class LeaseHeld(LakehouseError):
    """Another run is writing to this lake."""

    exit_code = 4


class Fenced(LakehouseError):
    """Another writer committed to the lake while this run held the lease."""


# Engines and delta-rs pass on only the text of an operating system error, not its number.
_NO_ROOM = tuple(os.strerror(number) for number in (ENOSPC, EDQUOT, EFBIG))
_NO_RIGHT = tuple(os.strerror(number) for number in (EACCES, EPERM, EROFS))
_GONE = (os.strerror(ENOENT), "not found", "No files found", "Find missing file")


def is_disk_full(fault: BaseException) -> bool:
    """Whether a library failed because the disk is full."""
    return any(text in str(fault) for text in _NO_ROOM)


def is_refused(fault: BaseException) -> bool:
    """Whether the operating system refused a write: the disk is full, or permission is missing."""
    return is_disk_full(fault) or any(text in str(fault) for text in _NO_RIGHT)


def is_file_gone(fault: BaseException, place: str) -> bool:
    """Whether a library failed because a data file below `place` is missing."""
    text = str(fault)
    return place.strip("/") in text and ".parquet" in text and any(gone in text for gone in _GONE)


def first_line(error: BaseException) -> str:
    """The first line of the message that is not blank; the class name when there is none."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


@contextmanager
def room_needed(place: str) -> Iterator[None]:
    """Map the errors of libraries in the block: missing data files to LakeDamaged, a missing permission
    to NotWritable, a full disk to DiskFull. Other errors pass unchanged.
    """
    try:
        yield
    except LakehouseError:
        raise
    except Exception as fault:
        if is_file_gone(fault, place):
            raise LakeDamaged(
                f"{place}: files of the lake are gone: {first_line(fault)}. Another program removed them. "
                "Nothing was published. `python lakehouse.py verify` says which; put them back from a backup."
            ) from fault
        if any(text in str(fault) for text in _NO_RIGHT):
            raise NotWritable(
                f"{place}: this user may not write there ({first_line(fault)}). The lake stays as last "
                "published. Run as the user who owns it, or give this one the right to write to all of its "
                "folders and files."
            ) from fault
        if not is_disk_full(fault):
            raise
        raise DiskFull(
            f"{place}: no room is left on this disk. Nothing of this batch was published, and readers see "
            "the lake as it was. Make room and run again: the next run undoes what this one began."
        ) from fault
