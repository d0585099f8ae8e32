"""Read stored rows in parts of bounded size, because a table may be larger than memory.

This module compares and counts; it computes no value of a table.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.delta.store import Store
from runtime.read.diff.changes import FLOATING
from runtime.read.keys import key_columns
from runtime.read.query import closed_connection
from runtime.read.snapshot import Files, select_rows
from runtime.read.sql import quoted, text_literal
from runtime.table import Table

if TYPE_CHECKING:
    import duckdb

MEMORY = "1GB"
PART_ROWS = 50_000  # rows compared one by one at a time
SLICE_ROWS = 2_000_000  # rows grouped by key at a time
Digest = Mapping[int, tuple[int, int]]  # part of the table -> its rows, and the sum of their hashes


class Rows(NamedTuple):
    """Rows as SQL, and their expected number."""

    select: str
    size: int

    @property
    def slices(self) -> int:
        """The number of slices that are grouped one after the other."""
        return 1 + self.size // SLICE_ROWS


@dataclass(frozen=True)
class Stored:
    """One version of a table: its files, and the expected number of rows."""

    table: Table
    files: Files
    rows: int

    @property
    def all(self) -> Rows:
        return Rows(select_rows(self.table, self.files), self.rows)

    @property
    def parts(self) -> int:
        """The number of parts of bounded size, by the hash of the key."""
        return min(4_096, 1 + self.rows // PART_ROWS)


@contextmanager
def reader(store: Store) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB over the lake's files with bounded memory; the rest spills to a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="verify-") as spill:
        settings = (f"memory_limit = '{MEMORY}'", f"temp_directory = {text_literal(spill)}")
        connection = closed_connection(store.root, {}, store.access, settings)
        try:
            yield connection
        finally:
            connection.close()


def part_of(table: Table, parts: int) -> str:
    """SQL: the part that a row belongs to."""
    keys = ", ".join(quoted(c.name) for c in key_columns(table))
    return f"(hash({keys}) % {parts})"


def digest(connection: duckdb.DuckDBPyConnection, stored: Stored, parts: int) -> Digest:
    """By part, the number of rows and the sum of the hashes of their content, in any order.

    Reads every column of every row. Raises duckdb.Error where a file cannot be read.
    """
    columns = [c for c in stored.table.columns if c.name in stored.table.content]
    # Ten digits: numbers that differ by more than a billionth are written differently.
    content = ", ".join(
        f"format('{{:.9e}}', {quoted(c.name)})" if c.type in FLOATING else quoted(c.name) for c in columns
    )
    all_columns = ", ".join(quoted(name) for name in stored.table.column_names)
    part = part_of(stored.table, parts)
    sums = connection.execute(
        f"select {part}, count(*), sum(hash({content})::hugeint), bit_xor(hash({all_columns})) "
        f"from ({stored.all.select}) group by all"
    )
    return {part: (rows, total) for part, rows, total, _ in sums.fetchall()}


def repeated(
    connection: duckdb.DuckDBPyConnection, rows: Rows, columns: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    """Values of these columns that several rows have, each with its number of rows."""
    names = ", ".join(quoted(c) for c in columns)
    for one in range(rows.slices):
        yield from connection.execute(
            f"select {names}, count(*) as n from ({rows.select}) "
            f"where hash({names}) % {rows.slices} = {one} group by all having n > 1 order by all"
        ).fetchall()


def without_partner(
    connection: duckdb.DuckDBPyConnection,
    rows: Rows,
    columns: Sequence[str],
    others: Rows,
    theirs: Sequence[str],
) -> Iterator[tuple[Any, ...]]:
    """Values of these columns, without NULL, that no row of `others` has, with their row count."""
    names, targets = (", ".join(quoted(c) for c in some) for some in (columns, theirs))
    not_null = " and ".join(f"{quoted(c)} is not null" for c in columns)
    same = " and ".join(f"o.{quoted(c)} = t.{quoted(t)}" for c, t in zip(columns, theirs, strict=True))
    ours = ", ".join(f"o.{quoted(c)}" for c in columns)
    slices = max(rows.slices, others.slices)
    for one in range(slices):
        yield from connection.execute(
            f"select {ours}, count(*) from "
            f"(select {names} from ({rows.select}) where {not_null} and hash({names}) % {slices} = {one}) o "
            f"anti join (select {targets} from ({others.select}) where hash({targets}) % {slices} = {one}) t "
            f"on {same} group by all order by all"
        ).fetchall()
