"""The control plane: Delta tables created, opened, checked and put back through delta-rs.

The engines write rows; everything else about a table's log happens here.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from runtime import durability, revert, scratch
from runtime.durability import put_torn_aside
from runtime.errors import Fenced, UsageError, is_refused
from runtime.logs import Log, adds
from runtime.profiling import step
from runtime.s3.access import AWS, Access, is_s3
from runtime.s3.failures import told
from runtime.s3.options import storage_options
from runtime.schema import delta_schema
from runtime.table import Table

if TYPE_CHECKING:
    from runtime.settings import Settings

# States stay readable until our own vacuum says otherwise: Delta would otherwise drop log entries
# after 30 days and refuse versions older than 7.
PROPERTIES = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}

# A small file and its like are merged into middling ones: any two of them fit into one.
SMALL, MIDDLING = 16 * 1024**2, 32 * 1024**2


@dataclass(frozen=True)
class Store:
    """Where the tables of one lake are, how a bucket is reached when they are in one, and the scratch
    space of the owner with that claim."""

    root: str
    access: Access = AWS
    claim: int = 0

    @classmethod
    def of(cls, settings: Settings) -> Store:
        """The tables of the lake that these settings name."""
        return cls(settings.lake, Access.chosen(settings.s3))

    def uri(self, name: str) -> str:
        """The location of `layer.table`."""
        return f"{self.root}/{name.replace('.', '/')}"

    def open(self, name: str, version: int | None = None) -> DeltaTable | None:
        """The table at `version` (newest by default), or None where there is none."""
        return open_table(self.uri(name), version, self.access)

    def create(self, table: Table) -> DeltaTable:
        """An empty table as declared; one already there is replaced by a new version."""
        uri = self.uri(table.name)
        try:
            return self._created(table, uri)
        except DeltaError as refused:
            # Another engine set a feature that delta-rs refuses, or wrote a version that it cannot open.
            if not self._is_closed(table.name, refused):
                raise
            with TemporaryDirectory() as folder:
                self._created(table, folder)
                revert.empty(Log(uri, self.access), Log(folder).read(0) or b"")
            opened = self.open(table.name)
            assert opened is not None
            return opened

    def _is_closed(self, name: str, refused: DeltaError) -> bool:
        """Whether delta-rs can no more write to a table, or not even open it."""
        if lacks_feature(refused):
            return True
        try:
            self.open(name)
        except DeltaError:
            return True
        return False

    def _created(self, table: Table, uri: str) -> DeltaTable:
        return DeltaTable.create(
            uri,
            delta_schema(table.columns),
            mode="overwrite",
            partition_by=list(table.partition_by),
            name=table.name,
            description=table.grain,
            configuration=PROPERTIES,
            # With retries, rows that a stranger adds at this moment would stay in the new version.
            commit_properties=CommitProperties(max_commit_retries=0),
            storage_options=storage_options(uri, self.access),
        )

    def flush(self) -> None:
        """Have the disk hold all that was written to the lake. Raises OSError."""
        durability.flush(self.root)

    @property
    def scratch(self) -> str:
        """Where a batch keeps what it works on; emptied before and after.

        Each owner has its own: one that lost the lease while it slept works on until it learns of it.
        """
        return f"{self.root}/_scratch/{self.claim}"

    @step("clear scratch space")
    def clear_scratch(self) -> None:
        """Empty the scratch space of this owner and of those before it, never of one that came after."""
        scratch.clear(f"{self.root}/_scratch", self.claim, self.access)


def open_table(uri: str, version: int | None = None, access: Access = AWS) -> DeltaTable | None:
    """The Delta table at `uri`, or None where there is none; what a power cut tore is put aside first.

    Raises StorageError, NotWritable, DeltaError; UsageError after a fork.
    """
    if not is_s3(uri):
        if not Path(uri, "_delta_log").is_dir():
            return None
        if version is None:
            put_torn_aside(uri)
    _require_same_process()
    with told(uri, access):
        try:
            return DeltaTable(uri, version=version, storage_options=storage_options(uri, access))
        except TableNotFoundError:
            return None
        except DeltaError:
            if is_s3(uri) or not put_torn_aside(uri, thorough=True):
                raise
    return open_table(uri, version, access)


def lacks_feature(refused: Exception) -> bool:
    """Whether delta-rs refuses to write because of a feature that another engine set on the table."""
    return "Unsupported table features" in str(refused)


_opened_by: int | None = None  # the process that opened a table first


def _require_same_process() -> None:
    """Raises UsageError in a process forked from one that used delta-rs: its threads are not in it."""
    global _opened_by
    _opened_by = _opened_by or os.getpid()
    if _opened_by != os.getpid():
        raise UsageError(
            "This process was forked from one that had opened a lake, and the threads of Delta's library do "
            "not survive that. Start it with the method `spawn` "
            "(multiprocessing.get_context('spawn')), or open lakes only after the fork."
        )


def commit_metrics(table: DeltaTable) -> Mapping[str, int]:
    """Row counts of the newest commit: `inserted`, `updated`, `deleted`."""
    metrics: dict[str, Any] = table.history(1)[0].get("operationMetrics", {})
    if isinstance(metrics, str):
        metrics = json.loads(metrics)
    inserted = metrics.get("numTargetRowsInserted", metrics.get("numOutputRows", 0))
    return {
        "inserted": int(inserted),
        "updated": int(metrics.get("numTargetRowsUpdated", 0)),
        "deleted": int(metrics.get("numTargetRowsDeleted", 0)),
    }


@step("measure the table")
def size(table: DeltaTable) -> Mapping[str, int]:
    """`rows`, `files`, `bytes` and `excess` of the version that is open.

    `excess` counts the files that merging the small ones of each partition would take away.
    """
    files = file_list(table)
    return {
        "rows": sum(files["num_records"]),
        "files": len(files["path"]),
        "bytes": sum(files["size_bytes"]),
        "excess": _excess(files),
    }


def _excess(files: Mapping[str, list[Any]]) -> int:
    partitions = [values for name, values in files.items() if name.startswith("partition.")]
    each = list(zip(*partitions, strict=True)) if partitions else [()] * len(files["path"])
    small = Counter(p for p, bytes_ in zip(each, files["size_bytes"], strict=True) if bytes_ < SMALL)
    return sum(small.values()) - len(small)


def file_list(table: DeltaTable) -> dict[str, list[Any]]:
    """The live files with their statistics, as columns; `partition.x` for each partition column."""
    actions = table.get_add_actions(flatten=True)
    return {name: list(actions.column(name).to_pylist()) for name in _wanted(actions.schema.names)}


def repeated_key(
    table: DeltaTable, files: Iterable[Mapping[str, Any]], key: Sequence[str]
) -> dict[str, object] | None:
    """A key that two rows in these files of a table have. Reads the key's columns only."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    parts: dict[tuple[str, ...], list[pa.Table]] = {}
    for add in files:
        values = add["partitionValues"]
        columns = [name for name in key if name not in values]
        with file_system(table).open_input_file(unquote(add["path"])) as file:
            rows = pq.ParquetFile(file).read(columns)
        parts.setdefault(tuple(values[name] for name in key if name in values), []).append(rows)
    for tables in parts.values():
        counted = pa.concat_tables(tables).group_by(tables[0].column_names).aggregate([([], "count_all")])
        repeated = counted.filter(pc.greater(counted["count_all"], 1))
        if len(repeated):
            return {name: str(repeated[name][0]) for name in tables[0].column_names}
    return None


def file_system(table: DeltaTable) -> Any:
    """The table's own object store, with its credentials, local or S3."""
    from deltalake.fs import DeltaStorageHandler
    from pyarrow.fs import PyFileSystem

    return PyFileSystem(DeltaStorageHandler.from_table(table._table))


def file_uris(table: DeltaTable) -> list[str]:
    """The live files; delta-rs writes local paths as in a URL, and nobody else reads them so."""
    return [uri if "://" in uri else unquote(uri) for uri in table.file_uris()]


def partition_of(uri: str, columns: Sequence[str]) -> dict[str, str]:
    """The partition values of a file, as its folders tell them."""
    folders = uri.split("/")[:-1]
    named = (folder.partition("=") for folder in folders[len(folders) - len(columns) :])
    return {name: value for name, _, value in named}


def _wanted(names: Iterable[str]) -> list[str]:
    return [n for n in names if not n.startswith(("min.", "max.", "null_count."))]


class Heads:
    """The newest version of every table of a lake, and the guard that nobody but us moves it."""

    def __init__(self, store: Store, tables: Iterable[Table], opened: Mapping[str, DeltaTable]) -> None:
        """Those of `tables` that are not `opened` are created, empty."""
        self.store = store
        self._tables: dict[str, DeltaTable] = {}
        self._expected: dict[str, int] = {}
        for table in tables:
            self._adopt(table.name, opened.get(table.name) or store.create(table))

    def _adopt(self, name: str, opened: DeltaTable) -> None:
        self._tables[name] = opened
        self._expected[name] = opened.version()

    @property
    def versions(self) -> dict[str, int]:
        """The version each table must have now."""
        return dict(self._expected)

    def __getitem__(self, name: str) -> DeltaTable:
        return self._tables[name]

    def recreate(self, table: Table) -> None:
        """Empty a table and give it the declared schema, as one new version. Raises Fenced."""
        wanted = self._expected[table.name] + 1
        self._adopt(table.name, self.store.create(table))
        if self._expected[table.name] != wanted:
            raise self._foreign(table.name, wanted)

    def restore(self, name: str, version: int) -> None:
        """Put a table back to what it held at a version, by one new version. Raises Fenced.

        A table that is at that version has nothing to go back to.
        """
        if version != self._expected[name]:
            table = self._tables[name]
            self._commit(name, lambda guard: table.restore(version, commit_properties=guard))

    def compact(self, name: str, target_bytes: int, tasks: int | None) -> bool:
        """Merge files of each partition up to a size. Whether there were any to merge. Raises Fenced."""
        optimizer, before = self._tables[name].optimize, self._expected[name]
        self._commit(
            name,
            lambda guard: optimizer.compact(
                target_size=target_bytes, max_concurrent_tasks=tasks, commit_properties=guard
            ),
        )
        return self._expected[name] > before

    def _commit(self, name: str, write: Callable[[CommitProperties], object]) -> None:
        """What the control plane itself does to a table; it may turn out to be nothing."""
        try:
            write(CommitProperties(max_commit_retries=0))
        except CommitFailedError as conflict:
            if is_refused(conflict):
                raise
            self._tables[name].update_incremental()
            raise self._foreign(name) from conflict
        self.wrote(name, may_be_nothing=True)

    @step("read the commit")
    def wrote(self, name: str, *, may_be_nothing: bool = False) -> Mapping[str, int]:
        """Row counts of the commit our engine just made. Raises Fenced if anyone else committed."""
        table, expected = self._tables[name], self._expected[name]
        table.update_incremental()
        if may_be_nothing and table.version() == expected:
            return {"inserted": 0, "updated": 0, "deleted": 0}
        self._require(name, expected + 1)
        self._expected[name] = expected + 1
        return commit_metrics(table)

    @step("check versions")
    def check(self, unsure: str | None = None, engine: str = "") -> None:
        """Every table is at the version we left it. Raises Fenced otherwise.

        `unsure`: the table that `engine` was writing to when it failed, maybe after its commit.
        """
        for name, expected in self._expected.items():
            self._tables[name].update_incremental()
            if name != unsure or not self._is_next_commit_of(engine, name):
                self._require(name, expected)

    def _is_next_commit_of(self, engine: str, name: str) -> bool:
        if self._tables[name].version() != self._expected[name] + 1:
            return False
        return engine in str(self._tables[name].history(1)[0].get("engineInfo", "")).lower()

    def _require(self, name: str, version: int) -> None:
        if self._tables[name].version() != version:
            raise self._foreign(name, version)

    def _foreign(self, name: str, wanted: int | None = None) -> Fenced:
        expected = self._expected[name] if wanted is None else wanted
        return Fenced(
            f"{self.store.uri(name)} is at version {self._tables[name].version()} where this run expected "
            f"{expected}: someone else wrote to it while the run held the lease. Nothing was published; "
            "find the other writer, then run again: the next run rolls back."
        )

    def added(self, name: str) -> Mapping[str, int]:
        """`files` and `bytes` that the newest commit added."""
        sizes = [add["size"] for add in self.adds(name)]
        return {"files": len(sizes), "bytes": sum(sizes)}

    def adds(self, name: str) -> list[Mapping[str, Any]]:
        """The `add` actions of the newest commit."""
        return adds(Log(self.store.uri(name), self.store.access).read(self._expected[name]) or b"")

    def is_empty(self, name: str, values: Mapping[str, Iterable[object]] | None = None) -> bool:
        """Whether no file holds rows of these partition values (of the whole table without)."""
        files = file_list(self._tables[name])
        if not values:
            return not any(files["num_records"])
        keys = zip(*(map(str, files[f"partition.{c}"]) for c in values), strict=True)
        wanted = [set(map(str, v)) for v in values.values()]
        return not any(all(k in w for k, w in zip(key, wanted, strict=True)) for key in keys)
