"""The context of a batch's steps: the engine, the newest version of each table, and scratch space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.delta import scratch
from runtime.delta.change_set import Changes
from runtime.delta.store import Store, repeated_key
from runtime.delta.versions import TableVersions
from runtime.engine import Engine
from runtime.engine.plain_paths import plain
from runtime.errors import DeclarationError
from runtime.process.profiling import step
from runtime.sources.jsonpaths import Renames
from runtime.table import Table
from runtime.table.checks import source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


CHANGE = "_change"
OLD = "_old_"
SEVERAL_SOURCE_ROWS = ("MERGE_CARDINALITY_VIOLATION", "MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW")
SMALL_BYTES = 32 * 1024**2
Bounds = Mapping[str, Sequence[object]]


class Pinned(NamedTuple):
    """The location and version (newest by default) of a table to read, without rows of later batches.

    `upto_batch` is for engines that look up the newest version each time they read rows.
    """

    uri: str
    version: int | None = None
    upto_batch: int | None = None


def _rows_committed(
    counts: Mapping[str, int], context: BatchContext, table: Table, *_: object
) -> Mapping[str, int]:
    rows = sum(counts.values())
    return {"rows": rows, **(context.heads.added(table.name) if rows else {})}


def _files_kept(_: object, context: BatchContext, *__: object) -> Mapping[str, int]:
    return scratch.size(context.kept, context.store.access)


@dataclass
class BatchContext:
    """The state of one batch in progress. All writes to tables go through `append` and `merge`.

    `redelivered` gives, by source, the deliveries of each file that came more than once, in order.
    `elsewhere` gives, by table, where to read it if it is not in the store that is written.
    """

    engine: Engine
    heads: TableVersions
    batch_id: int
    content_bytes: int = 0
    renames: Mapping[str, Renames] = field(default_factory=dict)  # by source
    late: frozenset[str] = frozenset()  # sources with a delivery older than one in the lake
    redelivered: Mapping[str, Sequence[Sequence[int]]] = field(default_factory=dict)
    elsewhere: Mapping[str, Pinned] = field(default_factory=dict)
    changes: dict[str, Changes] = field(default_factory=dict)
    _kept: int = 0

    @property
    def store(self) -> Store:
        return self.heads.store

    def read(self, table: Table, bounds: Bounds | None = None) -> DataFrame:
        """The current rows of a table, restricted to literal partition values."""
        place = self.elsewhere.get(table.name, Pinned(self.store.uri(table.name)))
        rows = self.engine.read(place.uri, place.version)
        if place.upto_batch is not None:
            rows = rows.where(f"_batch_id <= {place.upto_batch}")
        return rows.where(in_bounds(bounds)) if bounds else rows

    @step("stage", _files_kept)
    def keep(self, rows: DataFrame) -> DataFrame:
        """The rows, computed once and stored in scratch space for this batch."""
        self._kept += 1
        return self.engine.keep(rows, self.kept)

    @property
    def kept(self) -> str:
        """The folder of the rows stored last by `keep`."""
        return f"{self.store.scratch}/{self.batch_id}-{self._kept}"

    @step("append", _rows_committed)
    def append(self, table: Table, rows: DataFrame) -> Mapping[str, int]:
        """Append rows, maybe none. Returns the counts of the commit. Raises DeclarationError, Fenced."""
        declared = rows.selectExpr(*(f"cast({c.name} as {c.type}) as {c.name}" for c in table.columns))
        path = plain(self.store.uri(table.name))
        self._spread(declared).write.format("delta").mode("append").save(path)
        counts = self.heads.wrote(table.name, may_be_nothing=True)
        if counts["inserted"]:
            self._require_unique(table)
        return counts

    @step("check keys")
    def _require_unique(self, table: Table) -> None:
        """Raise DeclarationError if two rows of the newest commit have the same key."""
        key = getattr(table.write, "key", ())
        if key and (repeated := repeated_key(self.heads[table.name], self.heads.adds(table.name), key)):
            raise two_rows(table, key, repeated)

    def _spread(self, rows: DataFrame) -> DataFrame:
        """One file per partition value for a small batch, one per core for a large one.

        Without it, Sail checks NOT NULL on rows that a later filter drops.
        """
        return self.engine.spread(rows, 1 if self.content_bytes < SMALL_BYTES else self.engine.partitions)

    @step("merge", _rows_committed)
    def merge(
        self, table: Table, key: Sequence[str], changes: DataFrame, bounds: Bounds, newer: str = ""
    ) -> Mapping[str, int]:
        """MERGE at least one change, stored by `keep`. Returns the counts of the commit.

        `newer` is an extra condition on updates, over `s` (source) and `t` (target).
        Raises DeclarationError, Fenced.
        """
        changes.createOrReplaceTempView("changes")
        columns = table.column_names
        on = " and ".join([*(f"t.{k} = s.{k}" for k in key), *_literals(bounds, "t.")])
        sets = ", ".join(f"{c} = s.{c}" for c in columns if c not in key)
        statement = (
            f"merge into delta.`{plain(self.store.uri(table.name))}` t using changes s on {on} "
            f"when matched and s.{CHANGE} = 'delete' then delete "
            f"when matched and s.{CHANGE} = 'update' {newer} then update set {sets} "
            f"when not matched and s.{CHANGE} = 'insert' then insert ({', '.join(columns)}) "
            f"values ({', '.join(f's.{c}' for c in columns)})"
        )
        try:
            self.engine.spark.sql(statement).collect()
        except Exception as refused:
            if not any(sign in str(refused) for sign in SEVERAL_SOURCE_ROWS):
                raise
            self.heads.check()  # another writer explains the fault better
            repeated = rows_of(changes.groupBy(*key).count().where("count > 1").selectExpr(*key).limit(1))
            raise two_rows(table, key, repeated[0] if repeated else {}) from refused
        counts = self.heads.wrote(table.name)
        self._require_unique(table)
        return counts


def two_rows(table: Table, key: Sequence[str], repeated: Mapping[str, object]) -> DeclarationError:
    """The error for a `build` that returns several rows of one key."""
    values = ", ".join(f"{name} = {value}" for name, value in repeated.items()) or f"one {', '.join(key)}"
    return DeclarationError(
        f"{source(table)}: {table.name}: build gives two rows for {values}, where the table holds "
        f"{table.grain}. Nothing was published. Correct build or the key ({', '.join(key)}), then run again."
    )


@step("ask")
def rows_of(frame: DataFrame) -> list[dict[str, Any]]:
    """A small result as dictionaries. Select no timestamps: they would lose their time zone."""
    return [row.asDict() for row in frame.collect()]


def in_bounds(bounds: Bounds) -> str:
    """A predicate for these partition values. Engines skip files only by literals."""
    return " and ".join(_literals(bounds, "")) or "true"


def _literals(bounds: Bounds, prefix: str) -> list[str]:
    return [
        f"{prefix}{c} in ({', '.join(_literal(v) for v in vs)})" if vs else "false"
        for c, vs in bounds.items()
    ]


def _literal(value: object) -> str:
    return str(value) if isinstance(value, int) else f"date'{value}'"


def bounds_of(table: Table, groups: Iterable[Mapping[str, Any]]) -> dict[str, list[object]]:
    """The sorted partition values of a table that occur in grouped counts."""
    listed = list(groups)
    return {c: sorted({g[c] for g in listed}) for c in table.partition_by}


def differs(columns: Iterable[str]) -> str:
    """SQL: whether any column differs from its `_old_…` column; NULL equals NULL."""
    return "(" + " or ".join(f"not ({c} <=> {OLD}{c})" for c in columns) + ")"


def with_old(rows: DataFrame, current: DataFrame, table: Table, key: Sequence[str], how: str) -> DataFrame:
    """Join rows by key with the table's current rows, whose columns are named `_old_…`."""
    from pyspark.sql.functions import expr

    same_key = " and ".join(f"{k} = {OLD}{k}" for k in key)
    return rows.join(as_old(current, table), expr(same_key), how)


def as_old(rows: DataFrame, table: Table) -> DataFrame:
    """Rows of the table with its columns renamed to `_old_…`."""
    return rows.selectExpr(*(f"{c} as {OLD}{c}" for c in table.column_names))


def old_rows(rows: DataFrame, columns: Iterable[str]) -> DataFrame:
    """The `_old_…` columns of changes, as rows of the table."""
    return rows.selectExpr(*(f"{OLD}{c} as {c}" for c in columns))
