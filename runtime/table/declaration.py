"""The declaration of a table. The runner reads it; no layer calls the runner.

A table declares its grain, its schema as DDL with comments, its inputs, a pure `build`, and how its
rows are written. Inputs are Python references, so a missing table is an import error and
go-to-definition follows the lineage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from runtime.table.schema import Column, parse_ddl

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Deliver:
    """Append the records of a source unchanged. Only bronze does this.

    `fields` are the record's field names, for a source that may deliver them under other names.
    """

    source: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Upsert:
    """One row per `key`; of several records for a key, the one delivered last wins.

    `key` may be a hash of `identity`, the columns that identify a row; two identities with one key
    stop the run. `fields` are the source fields that `identity` comes from; records are searched by them.
    `owner` is (column, source field) of a value that all records of a key should share: a record
    that loses to another owner's record is reported by name.
    """

    key: tuple[str, ...]
    identity: tuple[str, ...]
    fields: tuple[str, ...]
    owner: tuple[str, str] | None = None


@dataclass(frozen=True)
class Collect:
    """Append the records that the inputs reject, with every reason."""


@dataclass(frozen=True)
class Merge:
    """MERGE rows by `key`; of several input rows for a key, the one with the highest `newest_by` wins.

    `newest_by` names columns of this table, most significant first. Without it, all input rows of a
    key must make the same row.
    """

    key: tuple[str, ...]
    newest_by: tuple[str, ...] = ()


Write = Deliver | Upsert | Collect | Merge


@dataclass(frozen=True)
class Records:
    """Input: the records of a bronze table."""

    table: Table


@dataclass(frozen=True)
class Rejects:
    """Input: the records that a silver table rejects."""

    table: Table


@dataclass(frozen=True)
class Rows:
    """Each input row makes at most one row of this table; `key` are the input columns that identify it."""

    table: Table
    key: tuple[str, ...]


@dataclass(frozen=True)
class Fold:
    """Many input rows make one row of this table; `key` are the input columns that identify it.

    By default every input row of a key must produce the same row (as in gold.time). Where the newest
    row wins, `since` is (input column, expression over this table's columns): input rows below that
    value are older than the row and are not read. `whole`: a change needs all input rows of its key.
    `made_by`: pairs (column of this table, input column), equal for the input row that made a row.
    """

    table: Table
    key: tuple[str, ...]
    since: tuple[str, str] | None = None
    whole: bool = False
    made_by: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Lookup:
    """The first input is joined to this one: `ours` (columns of the first input) = `theirs`.

    When a row of this input changes, the rows that it matches or matched before are built again.
    `alike` turns a text column, on both sides, into the expression that is compared.
    """

    table: Table
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    alike: Callable[[str], str] = str

    @property
    def compared(self) -> list[tuple[str, str]]:
        """Pairs of expressions that must be equal: (over the first input, over this input)."""
        types = {column.name: column.type for column in self.table.columns}
        as_compared = [self.alike if types[name] == "string" else str for name in self.theirs]
        pairs = zip(as_compared, self.ours, self.theirs, strict=True)
        return [(compared(ours), compared(theirs)) for compared, ours, theirs in pairs]


@dataclass(frozen=True)
class Periods:
    """SCD type 2: input rows of a `key`, in the order of `at`, make one row per period.

    A row begins when `value` changes and ends when the next row of its key begins. `begins` and `ends`
    are columns of this table; `ends` is NULL in the current row. `key` and `value` have the same names
    in both tables, and (*key, begins) identifies a row. `day`: the input's partition column, the UTC
    day of `at`.
    """

    table: Table
    key: tuple[str, ...]
    value: tuple[str, ...]
    at: str
    day: str
    begins: str
    ends: str


Input = Records | Rejects | Rows | Fold | Lookup | Periods


@dataclass(frozen=True, eq=False)
class Table:
    """One table of the lake.

    `name` is `layer.table`; `schema` is Spark DDL with comments, `_`-columns last. `build` takes one
    DataFrame per input, in order, and returns at least the columns of `schema` that do not begin with
    `_`. `expectations` map a name (the quarantine reason) to a SQL predicate over the rows of `build`;
    NULL fails. `references` map a column to the table whose key it holds; the column may be NULL.
    """

    name: str
    grain: str
    inputs: tuple[Input, ...]
    build: Callable[..., DataFrame]
    write: Write
    schema: str
    partition_by: tuple[str, ...] = ()
    expectations: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """All columns, in the order of `schema`."""
        return parse_ddl(self.schema)

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def content(self) -> tuple[str, ...]:
        """The data columns: all that do not begin with `_`. Two versions of a row differ in them."""
        return tuple(name for name in self.column_names if not name.startswith("_"))

    @property
    def layer(self) -> str:
        return self.name.partition(".")[0]


def in_order(tables: Mapping[str, Table]) -> Iterator[Table]:
    """The tables in dependency order: each one after its inputs."""
    graph = {table.name: [i.table.name for i in table.inputs] for table in tables.values()}
    return (tables[name] for name in TopologicalSorter(graph).static_order())
