"""Read the lake as of one batch: every table at the version that batch published.

delta-rs names the files of a version; DuckDB, Arrow, pandas and Polars read them. Only `spark()` starts an
engine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import RLock, local
from typing import TYPE_CHECKING

from deltalake.exceptions import DeltaError

from runtime.delta.store import Store, file_uris, partition_of, row_count
from runtime.errors import LakeDamaged, UsageError, first_line
from runtime.ledger.facts import BEHIND, State
from runtime.read import display
from runtime.read.query import closed_connection, create_view, run_on_duckdb
from runtime.read.sql import quoted, text_literal
from runtime.s3.config import is_s3
from runtime.s3.failures import explained
from runtime.table import Deliver, Table
from runtime.text.nearest import nearest_table

if TYPE_CHECKING:
    import duckdb
    import pandas
    import polars
    import pyarrow
    from pyspark.sql import DataFrame

    from runtime.engine import Engine


@dataclass(frozen=True)
class Files:
    """Data files of one version of a table, as DuckDB names them, and their columns."""

    uris: tuple[str, ...]
    columns: frozenset[str]

    def of_partition(self, by: Sequence[str], wanted: Mapping[str, object]) -> Files:
        """The files of one partition: `wanted` maps partition columns, some or all, to their values."""
        texts = {(name, str(value)) for name, value in wanted.items()}
        return Files(tuple(u for u in self.uris if texts <= partition_of(u, by).items()), self.columns)

    def without(self, uris: Collection[str]) -> Files:
        return Files(tuple(uri for uri in self.uris if uri not in uris), self.columns)


@dataclass(frozen=True)
class TableView:
    """One table as of one batch, for DuckDB, Arrow, pandas, Polars or PySpark.

    Columns and types are those of the catalogue, timestamps in UTC.
    """

    snapshot: Snapshot
    table: Table

    @property
    def name(self) -> str:
        """`layer.table`."""
        return self.table.name

    @property
    def version(self) -> int:
        return self.snapshot.versions[self.name]

    @property
    def rows(self) -> int:
        return self.snapshot.state.tables[self.name]["rows"]

    def __repr__(self) -> str:
        at = f"batch {self.snapshot.batch_id}, version {self.version}"
        return f"<{self.name}, {self.table.grain}: {at}, {self.rows:,} rows>"

    def _repr_html_(self) -> str:
        return display.of_table(self)

    def duckdb(self) -> duckdb.DuckDBPyRelation:
        """The rows as a DuckDB relation, lazy. Relations of one lake, of any batch, can be joined."""
        with self.snapshot.readable():
            return _shared(self.snapshot.store).sql(select_rows(self.table, self.snapshot.files(self.name)))

    def arrow(self, **partition: object) -> pyarrow.Table:
        """The rows as a pyarrow.Table; `year=2018, month=11` reads only the files of that partition.

        Raises UsageError for a column that is not a partition column.
        """
        return self.snapshot.rows(self.table, self._files(partition))

    def _files(self, partition: Mapping[str, object]) -> Files:
        by = self.table.partition_by
        for name in partition:
            if name not in by:
                partitioning = f"by {', '.join(by)}" if by else "by nothing"
                raise UsageError(f"arrow: {self.name} is not partitioned by {name!r}, but {partitioning}.")
        return self.snapshot.files(self.name).of_partition(by, partition)

    def pandas(self) -> pandas.DataFrame:
        """The rows as a pandas DataFrame."""
        return self.duckdb().df()

    def polars(self) -> polars.DataFrame:
        """The rows as a Polars DataFrame. Raises UsageError where polars is not installed."""
        try:
            import polars
        except ImportError:
            raise UsageError(
                ".polars() needs the package polars, which is not installed: "
                "pip install 'sparkify-lakehouse[notebook]'"
            ) from None
        frame = polars.from_arrow(self.arrow())
        assert isinstance(frame, polars.DataFrame)
        return frame

    def spark(self) -> DataFrame:
        """The rows as a PySpark DataFrame; starts the engine if none runs."""
        return self.snapshot.engine().read(self.snapshot.store.uri(self.name), self.version)


@dataclass(frozen=True)
class Snapshot:
    """The whole lake as of one published state."""

    store: Store
    tables: Mapping[str, Table]
    state: State
    engine: Callable[[], Engine]
    _lock: RLock = field(default_factory=RLock, init=False, repr=False, compare=False)

    def __repr__(self) -> str:
        return f"<{self.store.root} as of batch {self.batch_id}: {', '.join(self.versions)}>"

    def _repr_html_(self) -> str:
        return display.of_snapshot(self)

    @property
    def batch_id(self) -> int:
        return self.state.batch_id

    @cached_property
    def versions(self) -> dict[str, int]:
        """The Delta version by table, without derived tables that missed batches of older code."""
        entries = {n: t for n, t in self.state.tables.items() if n in self.tables}
        return {
            n: t["version"]
            for n, t in entries.items()
            if BEHIND not in t or isinstance(self.tables[n].write, Deliver)
        }

    def table(self, name: str) -> TableView:
        """One table by `layer.table`. Raises UsageError for an unknown name, with the nearest one."""
        if name not in self.versions:
            raise UsageError(
                f"table: {name!r} is not in the lake as of batch {self.batch_id}"
                f"{nearest_table(name, self.versions) or '.'} It holds: {', '.join(sorted(self.versions))}."
            )
        return TableView(self, self.tables[name])

    def sql(self, statement: str) -> pyarrow.Table:
        """The rows of one read-only DuckDB statement over all tables. Raises UsageError, StorageError."""
        try:
            return run_on_duckdb(self._closed.cursor(), statement, self.versions, self._over)
        except UsageError as error:
            refusal = explained(error.__cause__ or error, self.store.root, self.store.access)
            if is_s3(self.store.root) and refusal:
                raise refusal from error
            raise

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection with one view per table, and no access outside the lake."""
        self._over(self.versions)
        return self._closed.cursor()

    @property
    def _closed(self) -> duckdb.DuckDBPyConnection:
        """Threads share it, each with a cursor of its own: a connection runs one statement at a time."""
        with self._lock:
            return self._opened

    @cached_property
    def _opened(self) -> duckdb.DuckDBPyConnection:
        return closed_connection(self.store.root, {}, self.store.access)

    @cached_property
    def _viewed(self) -> set[str]:
        return set()

    def _over(self, names: Collection[str]) -> None:
        """Create the missing views of these tables: opening a table costs more than most queries."""
        with self._lock:
            missing = [name for name in names if name not in self._viewed]
            with ThreadPoolExecutor(max(1, len(missing))) as pool:
                for name, select in zip(missing, pool.map(self._view, missing), strict=True):
                    with self.readable():
                        create_view(self._closed, name, select)
                    self._viewed.add(name)

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Raise LakeDamaged where DuckDB cannot read files in the block: they are missing or corrupt."""
        import duckdb

        try:
            yield
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            if is_s3(self.store.root):
                raise
            raise self.damaged(first_line(error)) from error

    def damaged(self, why: str) -> LakeDamaged:
        """The error for files of this batch that cannot be read."""
        return LakeDamaged(
            f"{self.store.root}: batch {self.batch_id} cannot be read any more: {why}. Another program "
            "removed or changed files of the lake, or its power was cut. Of the last batch, "
            "`python lakehouse.py run` repairs what a power cut tore, and `run --full-refresh` rebuilds "
            "silver and gold from bronze; `history` lists the other batches."
        )

    def rows(self, table: Table, files: Files) -> pyarrow.Table:
        """The rows of these files of a table."""
        from runtime.read.arrow import rows_of

        rows = None if is_s3(self.store.root) else rows_of(table, files.uris, files.columns)
        if rows is None:
            with self.readable():
                rows = self._closed.cursor().sql(select_rows(table, files)).to_arrow_table()
        return rows

    def files(self, name: str) -> Files:
        """The files of a table's version.

        Raises LakeDamaged when the table cannot be opened, has another row count than published, or lacks
        files.
        """
        try:
            opened = self.store.open(name, self.versions[name])
        except DeltaError:
            opened = None
        if opened is None:
            raise self.damaged(f"{name} cannot be opened")
        rows, published = row_count(opened), self.state.tables[name].get("rows")
        if published not in (None, rows):
            raise self.damaged(f"{name} has {rows:,} rows, where {published:,} were published")
        uris = file_uris(opened)
        if not is_s3(self.store.root) and (missing := [uri for uri in uris if not Path(uri).exists()]):
            raise self.damaged(f"{len(missing):,} files of {name} are gone, the first is {missing[0]}")
        return Files(tuple(uris), frozenset(f.name for f in opened.schema().fields))

    def _view(self, name: str) -> str:
        return select_rows(self.tables[name], self.files(name))


_connections = local()


def _shared(store: Store) -> duckdb.DuckDBPyConnection:
    """This thread's connection to a lake: DuckDB joins only relations of one connection."""
    connections: dict[Store, duckdb.DuckDBPyConnection] = _connections.__dict__.setdefault("by_store", {})
    if store not in connections:
        connections[store] = closed_connection(store.root, {}, store.access)
    return connections[store]


def select_rows(table: Table, files: Files) -> str:
    """SQL for the rows of these files, with the table's declared columns and types.

    A column that the files lack reads as NULL, as in any Delta reader.
    """
    columns = ", ".join(
        f"cast({quoted(c.name) if c.name in files.columns else 'null'} as {c.duckdb_type})"
        f" as {quoted(c.name)}"
        for c in table.columns
    )
    if not files.uris:
        nulls = ", ".join(f"cast(null as {c.duckdb_type}) as {quoted(c.name)}" for c in table.columns)
        return f"select {nulls} where false"
    paths = ", ".join(text_literal(uri) for uri in files.uris)
    hive = str(bool(table.partition_by)).lower()
    return f"select {columns} from read_parquet([{paths}], hive_partitioning = {hive})"
