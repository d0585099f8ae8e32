"""What a layer says about a table. The runner reads these values; no layer calls the runner.

A table names its grain, its schema as DDL with comments, the tables it is made from, a pure `build`,
and how its rows are written. Inputs are Python references, so a missing table is an import error and
go-to-definition walks the lineage.
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
    """Append what a source delivers, as it is. The layer that only ever grows: bronze.

    `fields` are the record's, where they may be delivered under other names.
    """

    source: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Upsert:
    """One row per `key`; of several records for a key, the one delivered last wins.

    `key` may be a hash of `identity`, the columns that really tell rows apart; two identities under one
    key stop the run. `fields` are the delivered fields those come from: what a record is searched by. `owner`
    is a column, and the delivered field it comes from, that is not expected to differ among the records of a
    key: a record that loses to another owner's is told by name.
    """

    key: tuple[str, ...]
    identity: tuple[str, ...]
    fields: tuple[str, ...]
    owner: tuple[str, str] | None = None


@dataclass(frozen=True)
class Collect:
    """Append the records that the inputs rejected, with every reason."""


@dataclass(frozen=True)
class Merge:
    """MERGE rows by `key`; where several input rows compete, the highest `newest_by` wins.

    `newest_by` names columns of this table, most significant first. Without it all competing rows are
    equal by construction.
    """

    key: tuple[str, ...]
    newest_by: tuple[str, ...] = ()


Write = Deliver | Upsert | Collect | Merge


@dataclass(frozen=True)
class Records:
    """The records a bronze table received."""

    table: Table


@dataclass(frozen=True)
class Rejects:
    """The records a silver table refused."""

    table: Table


@dataclass(frozen=True)
class Rows:
    """Each input row makes at most one row here; `key` are its columns that name that row."""

    table: Table
    key: tuple[str, ...]


@dataclass(frozen=True)
class Fold:
    """Many input rows make one row here; `key` are their columns that name that row.

    Without more said, all input rows of a key make the same row (an instant). Where the newest wins,
    `since` = (input column, expression over our columns): input rows below that value are older than
    the row, so they need not be read. `whole`: a change needs all input rows of its key. `made_by`: pairs
    (our column, input column) that agree for the input row a row was made from.
    """

    table: Table
    key: tuple[str, ...]
    since: tuple[str, str] | None = None
    whole: bool = False
    made_by: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Lookup:
    """Rows of the first input are joined to this one: `ours` (of the first input) = `theirs`.

    When an input row changes, the rows it matches now or matched before are built again. `alike` makes of a
    text column, on both sides, the expression that is compared.
    """

    table: Table
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    alike: Callable[[str], str] = str

    @property
    def compared(self) -> list[tuple[str, str]]:
        """The expressions that must be equal: over the first input's columns, and over this table's."""
        types = {column.name: column.type for column in self.table.columns}
        as_compared = [self.alike if types[name] == "string" else str for name in self.theirs]
        pairs = zip(as_compared, self.ours, self.theirs, strict=True)
        return [(compared(ours), compared(theirs)) for compared, ours, theirs in pairs]


@dataclass(frozen=True)
class Periods:
    """Input rows of a `key`, in the order of `at`, make rows here that hold for a period each.

    A row begins when `value` becomes another and holds until the next one of its key begins: `begins` and
    `ends` are our columns, the end NULL while the row holds. `key` and `value` have the same names in both
    tables, and (*key, begins) names a row. `day`: the input's partition column, the UTC day of `at`.
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

    `name` is `layer.table`; `schema` is Spark DDL with comments, `_`-columns last; `expectations` map a
    name (the quarantine reason) to a SQL predicate that must be true of what `build` returns: NULL fails.
    `build` takes one DataFrame per input, in order, and returns at least the columns of `schema` that do
    not begin with `_`. `references` map a column to the table whose key it is, where it is not NULL.
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
        """All columns, in order, parsed from `schema`."""
        return parse_ddl(self.schema)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of all columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def content(self) -> tuple[str, ...]:
        """The columns that tell one version of a row from another: all that do not begin with `_`."""
        return tuple(name for name in self.column_names if not name.startswith("_"))

    @property
    def layer(self) -> str:
        """`bronze`, `silver` or `gold`."""
        return self.name.partition(".")[0]


def in_order(tables: Mapping[str, Table]) -> Iterator[Table]:
    """Every table after the tables it is made from."""
    graph = {table.name: [i.table.name for i in table.inputs] for table in tables.values()}
    return (tables[name] for name in TopologicalSorter(graph).static_order())
