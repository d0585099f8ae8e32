"""Every error a user can see, and the exit code it ends with.

LakehouseError             3  internal: something the project should have prevented
├── UsageError             2  the command line or a statement is wrong
├── ConfigError            2  settings are wrong; lists every problem found
├── SourceError            2  a source is missing or cannot be listed
├── StorageError           2  S3 refuses, or does not answer
├── EngineError            2  the engine cannot start (Java, jars, memory)
├── TargetError            2  PostgreSQL cannot be reached, or refuses what an export asks
├── DeclarationError       2  a table is declared so that batches could not be taken in
├── SchemaChanged          2  the code's tables no longer fit the lake's
├── CheckFailed            1  a check the user asked for found something
├── LayerError             2  a table's own code or SQL fails
├── LakeDamaged            2  files of the lake are gone or cannot be read
├── DiskFull               2  no room left where the lake lies
├── NotWritable            2  the user may not write where the lake lies
├── LeaseHeld              4  another run is writing to this lake
└── Fenced                 3  someone else wrote to the lake while we held the lease

A message is one paragraph: what, where, why, and what to do about it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EDQUOT, EFBIG, ENOENT, ENOSPC, EPERM, EROFS


class LakehouseError(Exception):
    """The root of every error raised on purpose."""

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
    """S3 refuses a request, or does not answer."""

    exit_code = 2


class EngineError(LakehouseError):
    """The engine cannot start or is not there."""

    exit_code = 2


class TargetError(LakehouseError):
    """PostgreSQL cannot be reached, or refuses what an export asks."""

    exit_code = 2


class DeclarationError(LakehouseError):
    """A table's declaration is wrong; the message lists every problem."""

    exit_code = 2


class SchemaChanged(LakehouseError):
    """The code declares a table otherwise than the lake holds it."""

    exit_code = 2


class CheckFailed(LakehouseError):
    """A check the user asked for found something."""

    exit_code = 1


class LayerError(LakehouseError):
    """The code or the SQL that declares a table fails."""

    exit_code = 2


class LakeDamaged(LakehouseError):
    """Files of the lake are gone or cannot be read: another program removed or changed them."""

    exit_code = 2


class DiskFull(LakehouseError):
    """There is no room left where the lake lies."""

    exit_code = 2


class NotWritable(LakehouseError):
    """The user of this process may not write where the lake lies."""

    exit_code = 2


class LeaseHeld(LakehouseError):
    """Another run is writing to this lake."""

    exit_code = 4


class Fenced(LakehouseError):
    """Someone else wrote to the lake while this run held the lease."""


# Engines and delta-rs pass on the text of the operating system's error, and neither its number nor a type.
_NO_ROOM = tuple(os.strerror(number) for number in (ENOSPC, EDQUOT, EFBIG))
_NO_RIGHT = tuple(os.strerror(number) for number in (EACCES, EPERM, EROFS))
_GONE = (os.strerror(ENOENT), "not found", "No files found", "Find missing file")


def is_disk_full(fault: BaseException) -> bool:
    """Whether a library failed for want of room."""
    return any(text in str(fault) for text in _NO_ROOM)


def is_refused(fault: BaseException) -> bool:
    """Whether the machine refused to write: no room, or no right to."""
    return is_disk_full(fault) or any(text in str(fault) for text in _NO_RIGHT)


def is_file_gone(fault: BaseException, place: str) -> bool:
    """Whether a library missed a data file below this place."""
    text = str(fault)
    return place.strip("/") in text and ".parquet" in text and any(gone in text for gone in _GONE)


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


@contextmanager
def room_needed(place: str) -> Iterator[None]:
    """A library that finds no room left to write in becomes DiskFull; one that may not write, NotWritable."""
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
