"""Check that a table's data files exist, have the size in the log, and can be read to the last row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from runtime.delta.commit_log import Log
from runtime.delta.data_files import lying
from runtime.delta.store import Store, file_list, file_uris
from runtime.read.snapshot import Files
from runtime.table import Table
from runtime.verify.reading import Digest, Stored, digest
from runtime.verify.verdict import Check, first_line, judged

if TYPE_CHECKING:
    import duckdb

MEND = (
    "Put the file back from a backup; or, for a table of silver or gold, rebuild with: "
    "python lakehouse.py run --full-refresh"
)


@dataclass(frozen=True)
class Read:
    """A table that could be read whole, and the digest of its content."""

    stored: Stored
    digest: Digest


def check_files(
    store: Store,
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    version: int,
    marks: Mapping[str, str],
) -> tuple[Check, Read | None]:
    """The check `files`, and the table if it can be read.

    `marks`: a checksum or ETag of each file, by path, noted when the file was published.
    """
    try:
        opened = store.open(table.name, version)
        if opened is None:
            return Check("files", table.name, False, f"{store.uri(table.name)} holds no table. {MEND}"), None
        listed, columns = file_list(opened), frozenset(f.name for f in opened.schema().fields)
        wrong = list(_lost(listed, lying(opened)))
        stored = Stored(table, Files(tuple(file_uris(opened)), columns), sum(listed["num_records"]))
    except Exception as damage:
        message = f"{store.uri(table.name)} cannot be opened: {first_line(damage)}. {MEND}"
        return Check("files", table.name, False, message), None
    read = None
    if not wrong:
        read, unreadable = _read(connection, stored, listed["num_records"])
        log = Log(store.uri(table.name), store.access)
        wrong = unreadable or list(_altered(log, listed["path"], marks))
    fine = f"files: {len(listed['path']):,}, rows read: {stored.rows:,}"
    return judged("files", table.name, wrong, fine=fine, fix=MEND), read


def _lost(listed: Mapping[str, list[Any]], actual: Mapping[str, int]) -> Iterator[str]:
    for path, size in zip(listed["path"], listed["size_bytes"], strict=True):
        name = unquote(path)
        if name not in actual:
            yield f"the file {name} is gone"
        elif actual[name] != size:
            yield f"the file {name} has {actual[name]:,} bytes, its log says {size:,}"


def _altered(log: Log, paths: Sequence[str], marks: Mapping[str, str]) -> Iterator[str]:
    """Files whose bytes changed since they were published, even if they can be read."""
    noted = [path for path in paths if path in marks]
    for path, mark in zip(noted, log.marks(noted), strict=True):
        if mark != marks[path]:
            yield f"the file {unquote(path)} is not as it was published"


def _read(
    connection: duckdb.DuckDBPyConnection, stored: Stored, rows: list[int]
) -> tuple[Read | None, list[str]]:
    """The table, read whole; if that fails, the damaged files."""
    try:
        read = Read(stored, digest(connection, stored, stored.parts))
    except Exception as damage:
        return None, list(_damaged(connection, stored, rows)) or [first_line(damage)]
    if sum(n for n, _ in read.digest.values()) != stored.rows:
        return read, list(_damaged(connection, stored, rows))
    return read, []


def _damaged(connection: duckdb.DuckDBPyConnection, stored: Stored, rows: list[int]) -> Iterator[str]:
    for uri, expected in zip(stored.files.uris, rows, strict=True):
        alone = Stored(stored.table, Files((uri,), stored.files.columns), expected)
        try:
            actual = sum(n for n, _ in digest(connection, alone, 1).values())
        except Exception as damage:
            yield f"the file {uri} cannot be read: {first_line(damage)}"
            continue
        if actual != expected:
            yield f"the file {uri} holds {actual:,} rows, its log says {expected:,}"
