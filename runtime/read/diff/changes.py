"""Changed rows, read from the files that only one of two states has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from runtime.errors import UsageError
from runtime.read.diff import display
from runtime.read.keys import Key, key_columns, key_literal
from runtime.read.snapshot import Files, select_rows
from runtime.read.sql import quoted
from runtime.table import Table
from runtime.text.nearest import nearest_table

if TYPE_CHECKING:
    import duckdb

FLOATING = ("double", "float")
CHANGES = ("inserted", "updated", "deleted")
AT_ONCE = 10_000  # rows converted to Python values at a time


@dataclass(frozen=True)
class Change:
    """One row that differs: `before` is None when it was inserted, `after` when it was deleted.

    Both hold the compared columns: the key, and those that do not begin with `_`.
    """

    change: str
    key: Mapping[str, Any]
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that differ; for an inserted or deleted row, all but the key."""
        if self.before is None or self.after is None:
            return tuple(name for name in (self.after or self.before or {}) if name not in self.key)
        return tuple(name for name, value in self.before.items() if value != self.after[name])

    def as_dict(self) -> dict[str, Any]:
        """`change`, `key`, `columns`, `before`, `after`."""
        sides = {"before": _plain(self.before), "after": _plain(self.after)}
        return {"change": self.change, "key": dict(self.key), "columns": list(self.columns), **sides}


@dataclass(frozen=True)
class TableDiff:
    """The difference of one table between two states. Iterating yields every Change, in key order.

    Rows are read lazily. `old` and `new` are the files that only one state has. `only` is a SQL condition
    on the compared rows. Floating-point numbers within `tolerance`, relative to the larger one, are equal.
    """

    table: Table
    old: Files
    new: Files
    key: Key | None
    connection: duckdb.DuckDBPyConnection
    only: str = "true"
    tolerance: float = 0.0

    def __iter__(self) -> Iterator[Change]:
        return self.rows()

    def rows(self, limit: int | None = None) -> Iterator[Change]:
        """Yield the first `limit` changes, by default all."""
        if not (self.old.uris or self.new.uris):
            return
        bound = "" if limit is None else f" limit {limit}"
        # On a cursor: a connection has one open result, and this one stays open between rows.
        changes = self.connection.cursor().sql(f"from ({self._changes}) order by row_key, _n{bound}")
        for batch in changes.to_arrow_reader(AT_ONCE):
            for row in batch.to_pylist():
                yield Change(row["change"], row["row_key"], row["before"], row["after"])

    @cached_property
    def counts(self) -> dict[str, int]:
        """`inserted`, `updated`, `deleted`."""
        if not (self.old.uris or self.new.uris):
            return dict.fromkeys(CHANGES, 0)
        counted = f"select change, count(*) from ({self._changes}) group by change"
        by_change = dict(self.connection.sql(counted).fetchall())
        return {change: by_change.get(change, 0) for change in CHANGES}

    @property
    def after_sql(self) -> str:
        """SQL for the inserted and updated rows in their new state, with the compared columns."""
        return f"select unnest(after) from ({self._changes}) where after is not null"

    @property
    def gone_sql(self) -> str:
        """SQL for the keys of the deleted rows."""
        return f"select unnest(row_key) from ({self._changes}) where after is null"

    @property
    def is_empty(self) -> bool:
        """Whether both states hold the same rows."""
        return not any(self.counts.values())

    @cached_property
    def _changes(self) -> str:
        """SQL, a row per difference: `change`, `row_key`, `before`, `after`; `_n` numbers equal keys."""
        return self._paired if self.old.uris and self.new.uris else self._of_one_side

    @property
    def _of_one_side(self) -> str:
        """Rows were only appended, as in most batches, or only removed: no row has a counterpart."""
        rows, side = (self.new, "inserted") if self.new.uris else (self.old, "deleted")
        row = _packed("r", self._columns)
        none = f"case when false then {row} end"  # NULL of the row's type, which queries on top unnest
        before, after = (none, row) if side == "inserted" else (row, none)
        return f"""
            select '{side}' as change, {_packed("r", self._named)} as row_key,
                   {before} as before, {after} as after, {row} as _n
            from ({self._rows(rows)}) r
        """

    @property
    def _paired(self) -> str:
        """Where a file was rewritten, rows in files of both sides cancel first, once per occurrence.

        The remaining rows of a key are numbered, so that rows that share a key are paired as well.
        """
        keys = ", ".join(quoted(name) for name in self._named)
        all_columns = ", ".join(quoted(name) for name in self._columns)
        key = ", ".join(f"{n} := coalesce(o.{n}, n.{n})" for n in map(quoted, self._named))
        same = " and ".join(f"o.{n} is not distinct from n.{n}" for n in map(quoted, self._named))
        number = f"row_number() over (partition by {keys} order by {all_columns}) as _n"
        return f"""
            with olds as ({self._rows(self.old)}), news as ({self._rows(self.new)}),
            o as (select *, {number} from (from olds except all from news)),
            n as (select *, {number} from (from news except all from olds))
            select case when o._n is null then 'inserted' when n._n is null then 'deleted'
                   else 'updated' end as change,
                   struct_pack({key}) as row_key,
                   case when o._n is not null then {_packed("o", self._columns)} end as before,
                   case when n._n is not null then {_packed("n", self._columns)} end as after,
                   coalesce(o._n, n._n) as _n
            from o full join n on {same} and o._n = n._n{self._unlike if self.tolerance else ""}
        """

    @property
    def _unlike(self) -> str:
        """SQL that drops pairs that differ only in the last digits of floating-point numbers."""
        floating = {c.name for c in self.table.columns if c.type in FLOATING}
        alike = []
        for name in self._columns:
            a, b = f"o.{quoted(name)}", f"n.{quoted(name)}"
            near = f"abs({a} - {b}) <= {self.tolerance!r} * greatest(abs({a}), abs({b}))"
            near = f" or (isfinite({a}) and isfinite({b}) and {near})" if name in floating else ""
            alike.append(f"({a} is not distinct from {b}{near})")
        return f" where o._n is null or n._n is null or ({' and '.join(alike)}) is not true"

    @property
    def _named(self) -> tuple[str, ...]:
        return tuple(c.name for c in key_columns(self.table))

    @property
    def _columns(self) -> tuple[str, ...]:
        return (*self._named, *(name for name in self.table.content if name not in self._named))

    def _rows(self, files: Files) -> str:
        columns = ", ".join(quoted(name) for name in self._columns)
        rows = f"select {columns} from (from ({select_rows(self.table, files)}) where {self.only})"
        if self.key is None:
            return rows
        pairs = zip(key_columns(self.table), self.key, strict=True)
        return f"{rows} where {' and '.join(f'{quoted(c.name)} = {key_literal(c, v)}' for c, v in pairs)}"


@dataclass(frozen=True)
class Diff:
    """The differences of the lake between two batches, by table."""

    from_batch: int
    to_batch: int
    tables: Mapping[str, TableDiff]

    def __repr__(self) -> str:
        changed = [f"{n} +{c[0]:,} ~{c[1]:,} -{c[2]:,}" for n, c in self._counts() if any(c)]
        return f"<batch {self.from_batch} → {self.to_batch}: {'; '.join(changed) or 'no difference'}>"

    def _repr_html_(self) -> str:
        return display.of_diff(self)

    def _counts(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        for name, table in self.tables.items():
            yield name, tuple(table.counts.values())

    @property
    def summary(self) -> dict[str, dict[str, int]]:
        """Rows `inserted`, `updated` and `deleted`, by table."""
        return {name: table.counts for name, table in self.tables.items()}

    @property
    def is_empty(self) -> bool:
        """Whether no compared row differs."""
        return all(table.is_empty for table in self.tables.values())

    def table(self, name: str) -> TableDiff:
        """One table; a bare name means gold. Raises UsageError for one that was not compared."""
        full = name if "." in name else f"gold.{name}"
        if full not in self.tables:
            raise UsageError(f"diff: {name!r} was not compared{nearest_table(name, self.tables) or '.'}")
        return self.tables[full]


def _packed(rows: str, names: Iterable[str]) -> str:
    """These columns as one struct."""
    return f"struct_pack({', '.join(f'{n} := {rows}.{n}' for n in map(quoted, names))})"


def _plain(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if row is None else dict(row)
