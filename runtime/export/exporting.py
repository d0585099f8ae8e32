"""The export: compare the target with the snapshot, and change it in one transaction.

The target records its batch in the transaction that writes it. An interrupted export therefore leaves
nothing, and the next export finds one that was committed without an acknowledgement.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from runtime.errors import LakehouseError, LeaseHeld, TargetError, UsageError
from runtime.export.altered import altered, miscounted
from runtime.export.ddl import RECORD, Star, bare, columns_of, key_of, listed
from runtime.export.target import Target, transaction
from runtime.ledger.facts import Facts
from runtime.read.diff import Diff, TableDiff, around_optimize, compare
from runtime.read.query import closed_connection
from runtime.read.snapshot import Snapshot, select_rows
from runtime.read.sql import quoted, text_literal
from runtime.table import Table

if TYPE_CHECKING:
    import pyarrow
    from duckdb import DuckDBPyConnection as Connection

Counts = Mapping[str, Mapping[str, int]]
Brought = tuple[str, Counts, str | None]
IN_THE_WAY = "A view or a foreign key of yours that is in the way can be dropped, and made again afterwards."
AT_ONCE = 50_000  # rows sent at a time
PATIENCE = 10.0  # seconds to wait for another export, which may have just been killed


@dataclass(frozen=True)
class Exported:
    """The result of an export. `how` is `full`, `changes` or `nothing`; `tables` are without their layer.

    `why`: the reason if a later export could not write only the changes.
    """

    batch_id: int
    from_batch: int | None
    how: str
    schema: str
    tables: Counts
    seconds: float
    why: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The shape that `export --format json` prints."""
        return dict(vars(self))


@dataclass(frozen=True)
class Held:
    """What the target records about its content."""

    lake_id: str
    lake: str
    batch_id: int
    published_at: str
    versions: Mapping[str, int]
    shape: str


@dataclass(frozen=True)
class Export:
    """One export of a snapshot into a schema. `known` holds the current facts of the lake's ledger."""

    snapshot: Snapshot
    known: Facts
    lake_id: str
    star: Star
    note: Callable[[str], None]

    def to(self, uri: str) -> Exported:
        """Bring the target to the snapshot's batch. Raises TargetError, LeaseHeld."""
        begun = time.monotonic()
        if lacking := [t.name for t in self.star.tables if t.name not in self.snapshot.versions]:
            raise UsageError(
                f"export: batch {self.snapshot.batch_id} has no {', '.join(lacking)}: the code declares more "
                "tables than that batch holds. Export a later batch, or `run` first to fill them."
            )
        with transaction(uri) as target:
            _lock(target, self.star.schema)
            relations = self._relations(target)
            recorded = self._held(target, relations)
            how, tables, why = self._bring(target, recorded, relations)
            if how != "nothing":
                self._record(target)
        took = round(time.monotonic() - begun, 3)
        before = recorded.batch_id if recorded else None
        return Exported(self.snapshot.batch_id, before, how, self.star.schema, tables, took, why)

    def _bring(self, target: Target, recorded: Held | None, relations: set[str]) -> Brought:
        if recorded is None:
            self._clear(target, relations, made=False)
            return "full", self._fill(target, made=False), None
        if why := self._unlike(target, recorded, relations):
            return self._anew(target, relations, why, made=False)
        if why := self._unknown(target, recorded):
            return self._anew(target, relations, why, made=True)
        if self._wanted() == recorded:
            return "nothing", self._counts({}), None
        if isinstance(changes := self._changes_since(recorded), str):
            return self._anew(target, relations, changes, made=True)
        return "changes", self._apply(target, changes), None

    def _anew(self, target: Target, relations: set[str], why: str, *, made: bool) -> Brought:
        """Write all tables again. Raises TargetError when an object of the user's is in the way."""
        try:
            self._clear(target, relations, made=made)
        except TargetError as error:
            raise TargetError(f"{why}, so all rows are to be written anew. {error} {IN_THE_WAY}") from error
        return "full", self._fill(target, made=made), why

    def _unlike(self, target: Target, recorded: Held, relations: set[str]) -> str | None:
        """Why the tables in the target cannot stay; None when they match the current declaration."""
        if recorded.shape != self.star.shape:
            return "the tables were declared otherwise when they were made"
        return altered(target, self.star, relations)

    def _unknown(self, target: Target, recorded: Held) -> str | None:
        """Why the target's rows are not those of its recorded batch; None when the counts agree."""
        state = self.known.batches.get(recorded.batch_id)
        if state is None or state.at != recorded.published_at:
            return f"the lake no longer knows batch {recorded.batch_id} as the target holds it"
        return miscounted(target, self.star, {n: t["rows"] for n, t in state.tables.items()})

    def _wanted(self) -> Held:
        """What the target records after this export."""
        state = self.snapshot.state
        versions = {t.name: self.snapshot.versions[t.name] for t in self.star.tables}
        root = self.snapshot.store.root
        return Held(self.lake_id, root, state.batch_id, state.at, versions, self.star.shape)

    def _relations(self, target: Target) -> set[str]:
        """The names in the schema, which is created if missing."""
        schema = text_literal(self.star.schema)
        if not target.rows(f"select 1 from pg_namespace where nspname = {schema}"):
            target.execute(f"create schema {quoted(self.star.schema)}")
        # Not {schema}::regnamespace: that parses the text as an unquoted name, in lower case.
        query = "select relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        return {name for (name,) in target.rows(f"{query} where nspname = {schema}")}

    def _held(self, target: Target, relations: set[str]) -> Held | None:
        """What an earlier export recorded. Raises TargetError for tables of another lake or program."""
        if RECORD not in relations:
            if foreign := sorted({bare(t) for t in self.star.tables} & relations):
                raise TargetError(
                    f"schema {self.star.schema}: it has {', '.join(foreign)} already, which no export "
                    "made. Name another with --schema, or move them away."
                )
            target.execute(*self.star.create_record())
            return None
        names = ("lake_id", "lake", "batch_id", "published_at", "versions", "shape")
        rows = target.rows(f"select {listed(names)} from {self.star.record}")
        recorded = [Held(**{**dict(zip(names, r, strict=True)), "versions": json.loads(r[4])}) for r in rows]
        for other in recorded:
            if other.lake_id != self.lake_id:
                raise TargetError(
                    f"schema {self.star.schema}: it holds batch {other.batch_id} of another lake, "
                    f"{other.lake}. Name another with --schema, or drop this one with: "
                    f"drop schema {quoted(self.star.schema)} cascade"
                )
        return replace(recorded[0], lake=self.snapshot.store.root) if recorded else None

    def _changes_since(self, recorded: Held) -> Diff | str:
        """How the snapshot differs from the target's batch; or why that batch cannot be read."""
        import duckdb

        state = self.known.batches[recorded.batch_id]
        versions = {name: {"version": version} for name, version in recorded.versions.items()}
        before = replace(self.snapshot, state=replace(state, tables=versions))
        try:
            steps = around_optimize(self.known, state, self.snapshot.state)
            around = [(replace(self.snapshot, state=a), replace(self.snapshot, state=b)) for a, b in steps]
            names = [t.name for t in self.star.tables]
            changes = compare(before, self.snapshot, names, around=around)
            _ = changes.summary  # the files are read here
        except (duckdb.Error, LakehouseError) as error:
            reason = str(error).partition("\n")[0]
            return f"batch {recorded.batch_id}, which the target holds, cannot be read: {reason}"
        return changes

    def _clear(self, target: Target, relations: set[str], *, made: bool) -> None:
        """Empty the tables. `made`: they match their declaration, so dependent objects can stay."""
        star = self.star
        if made:
            target.execute(*(s for t in star.tables for s in star.drop_keys(t)))
            target.execute(f"truncate {', '.join(map(star.name, star.tables))}")
            return
        existing = [star.name(t) for t in star.tables if bare(t) in relations]
        target.execute(*([f"drop table {', '.join(existing)}"] if existing else []))
        target.execute(*map(star.create, star.tables))

    def _fill(self, target: Target, *, made: bool) -> Counts:
        """Copy every row into the empty tables, then create the keys that `_clear` left out."""
        star = self.star
        lake = self._reader()
        for table in star.tables:
            query = f"select {listed([c.name for c in columns_of(table)])} from {table.name}"
            sent = self._copy(target, star.schema, bare(table), query, lake)
            self.note(f"{bare(table)}: {sent:,} rows")
            target.execute(*([] if made else [star.primary_key(table), *star.comments(table)]))
        target.execute(*(s for t in star.tables for s in star.keys(t)))
        target.execute(*(f"analyze {star.name(t)}" for t in star.tables))
        rows = {t.name: self.snapshot.state.tables[t.name]["rows"] for t in star.tables}
        return self._counts({n: {"inserted": r, "updated": 0, "deleted": 0} for n, r in rows.items()})

    def _apply(self, target: Target, changes: Diff) -> Counts:
        """Write only the rows that differ: insert into referenced tables first, delete from them last."""
        counts = changes.summary
        new = [t for t in self.star.tables if counts[t.name]["inserted"] or counts[t.name]["updated"]]
        gone = [t for t in reversed(self.star.tables) if counts[t.name]["deleted"]]
        for table in new:
            difference = changes.tables[table.name]
            self._stage(target, table, "rows", [c.name for c in columns_of(table)], difference)
            target.execute(self.star.apply(table, _staged("rows", table)))
        for table in gone:
            self._stage(target, table, "gone", key_of(table), changes.tables[table.name])
            target.execute(self.star.delete(table, _staged("gone", table)))
        return self._counts(counts)

    def _stage(
        self, target: Target, table: Table, what: str, names: Sequence[str], changes: TableDiff
    ) -> None:
        """Copy new rows, or the keys of deleted rows, into a temporary table."""
        staged, columns = _staged(what, table), listed(names)
        like = f"select {columns} from {self.star.name(table)} with no data"
        target.execute(f"create temporary table {staged} on commit drop as {like}")
        changed = changes.after_sql if what == "rows" else changes.gone_sql
        query = f"select {columns} from ({changed})"
        sent = self._copy(target, None, f"{what}_{bare(table)}", query, changes.connection)
        self.note(f"{bare(table)}: {sent:,} {'changed rows' if what == 'rows' else 'rows gone'}")
        target.execute(f"analyze {staged}")

    def _copy(self, target: Target, schema: str | None, name: str, query: str, lake: Connection) -> int:
        """Send the rows of a query. Raises LakehouseError when the lake cannot be read."""
        unreadable = list[Exception]()
        try:
            return target.copy(schema, name, _batches(lake, query, unreadable))
        except TargetError:
            if unreadable:
                raise self._gone(unreadable[0]) from unreadable[0]
            raise

    def _gone(self, why: Exception) -> LakehouseError:
        return LakehouseError(
            f"batch {self.snapshot.batch_id} cannot be read: {str(why).partition(chr(10))[0]}. Were its "
            "files removed by vacuum? Nothing of this export was written."
        )

    def _reader(self) -> Connection:
        """DuckDB over the star's tables only, because an export needs no other files."""
        import duckdb

        store = self.snapshot.store
        files = {t.name: select_rows(t, self.snapshot.files(t.name)) for t in self.star.tables}
        try:
            return closed_connection(store.root, files, store.access)
        except duckdb.Error as error:
            raise self._gone(error) from error

    def _record(self, target: Target) -> None:
        record = self._wanted()
        values = [record.lake_id, record.lake, record.published_at, json.dumps(record.versions), record.shape]
        lake_id, lake, at, versions, shape = map(text_literal, values)
        target.execute(
            f"delete from {self.star.record}",
            f"insert into {self.star.record} (lake_id, lake, batch_id, published_at, versions, shape) "
            f"values ({lake_id}, {lake}, {record.batch_id}, {at}, {versions}, {shape})",
        )

    def _counts(self, changes: Counts) -> Counts:
        none = dict.fromkeys(("inserted", "updated", "deleted"), 0)
        rows = {t.name: self.snapshot.state.tables[t.name]["rows"] for t in self.star.tables}
        return {n.partition(".")[2]: {**changes.get(n, none), "rows": r} for n, r in rows.items()}


def _lock(target: Target, schema: str) -> None:
    """Allow one export per schema at a time, until the transaction ends. Raises LeaseHeld."""
    key = f"hashtextextended({text_literal(f'lakehouse export {schema}')}, 0)"
    begun = time.monotonic()
    while not target.rows(f"select pg_try_advisory_xact_lock({key})")[0][0]:
        if time.monotonic() - begun > PATIENCE:
            raise LeaseHeld(
                f"schema {schema}: another export is writing to it and did not end within "
                f"{PATIENCE:.0f} s. Wait for it; PostgreSQL lists it in pg_stat_activity by the "
                "application name sparkify-lakehouse."
            )
        time.sleep(0.2)


def _staged(what: str, table: Table) -> str:
    return f"pg_temp.{quoted(f'{what}_{bare(table)}')}"


def _batches(lake: Connection, query: str, unreadable: list[Exception]) -> pyarrow.RecordBatchReader:
    """The rows, in batches. The driver hides our errors behind its own, so the cause is collected."""
    import duckdb
    import pyarrow as pa

    reader = lake.sql(query).to_arrow_reader(AT_ONCE)

    def each() -> Iterator[pyarrow.RecordBatch]:
        try:
            yield from reader
        except duckdb.Error as error:
            unreadable.append(error)
            raise

    return pa.RecordBatchReader.from_batches(reader.schema, each())
