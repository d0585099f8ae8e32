"""Create, open and measure Delta tables through delta-rs.

The engines write rows; all other changes to a table's log go through delta-rs.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from runtime.delta import durability, revert, scratch
from runtime.delta.commit_log import Log
from runtime.delta.durability import put_torn_aside
from runtime.errors import UsageError
from runtime.process.profiling import step
from runtime.s3.chosen import chosen_access
from runtime.s3.config import AWS, Access, is_s3
from runtime.s3.failures import map_s3_errors
from runtime.s3.options import storage_options
from runtime.table import Table
from runtime.table.schema import delta_schema

if TYPE_CHECKING:
    from runtime.settings.load import Settings


# Versions stay readable until our own vacuum: by default Delta drops log entries after 30 days and refuses
# versions older than 7 days.
PROPERTIES = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}

# Bytes. Compaction merges files below SMALL up to MIDDLING: any two of them fit into one file.
SMALL, MIDDLING = 16 * 1024**2, 32 * 1024**2


@dataclass(frozen=True)
class Store:
    """The location of a lake's tables, the access to its bucket, and an owner's `claim` for scratch space."""

    root: str
    access: Access = AWS
    claim: int = 0

    @classmethod
    def of(cls, settings: Settings) -> Store:
        """The store of the lake in these settings."""
        return cls(settings.lake, chosen_access(settings.s3))

    def uri(self, name: str) -> str:
        """The location of `layer.table`."""
        return f"{self.root}/{name.replace('.', '/')}"

    def open(self, name: str, version: int | None = None) -> DeltaTable | None:
        """The table at `version` (newest by default), None if it does not exist."""
        return open_table(self.uri(name), version, self.access)

    def create(self, table: Table) -> DeltaTable:
        """Create an empty table as declared. An existing table gets a new, empty version."""
        uri = self.uri(table.name)
        try:
            return self._created(table, uri)
        except DeltaError as refused:
            # Another engine set a feature that delta-rs refuses, or wrote a version it cannot open.
            if not self._is_closed(table.name, refused):
                raise
            with TemporaryDirectory() as folder:
                self._created(table, folder)
                revert.empty(Log(uri, self.access), Log(folder).read(0) or b"")
            opened = self.open(table.name)
            assert opened is not None
            return opened

    def _is_closed(self, name: str, refused: DeltaError) -> bool:
        """Whether delta-rs cannot write to a table, or cannot open it."""
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
            # With retries, rows of a concurrent foreign commit would stay in the new version.
            commit_properties=CommitProperties(max_commit_retries=0),
            storage_options=storage_options(uri, self.access),
        )

    def flush(self) -> None:
        """Flush all writes to the lake to disk. Raises OSError."""
        durability.flush(self.root)

    @property
    def scratch(self) -> str:
        """The folder for intermediate rows of a batch; emptied before and after.

        Each owner has its own, because a process that lost the lease keeps writing until its next commit.
        """
        return f"{self.root}/_scratch/{self.claim}"

    @step("clear scratch space")
    def clear_scratch(self) -> None:
        """Empty the scratch space of this owner and of earlier ones, never of a later one."""
        scratch.clear(f"{self.root}/_scratch", self.claim, self.access)


def open_table(uri: str, version: int | None = None, access: Access = AWS) -> DeltaTable | None:
    """The Delta table at `uri`, None if there is none. First hides commits that a power cut tore.

    Raises StorageError, NotWritable, DeltaError; UsageError after a fork.
    """
    if not is_s3(uri):
        if not Path(uri, "_delta_log").is_dir():
            return None
        if version is None:
            put_torn_aside(uri)
    _require_same_process()
    with map_s3_errors(uri, access):
        try:
            return DeltaTable(uri, version=version, storage_options=storage_options(uri, access))
        except TableNotFoundError:
            return None
        except DeltaError:
            if is_s3(uri) or not put_torn_aside(uri, thorough=True):
                raise
    return open_table(uri, version, access)


def lacks_feature(refused: Exception) -> bool:
    """Whether the error means that another engine set a table feature that delta-rs lacks."""
    return "Unsupported table features" in str(refused)


_opened_by: int | None = None  # the process that opened a table first


def _require_same_process() -> None:
    """Raise UsageError after a fork: a forked process lacks the threads of delta-rs."""
    global _opened_by
    _opened_by = _opened_by or os.getpid()
    if _opened_by != os.getpid():
        raise UsageError(
            "This process was forked from one that had opened a lake, and the threads of Delta's library do "
            "not survive that. Start it with the method `spawn` "
            "(multiprocessing.get_context('spawn')), or open lakes only after the fork."
        )


@step("measure the table")
def size(table: DeltaTable) -> Mapping[str, int]:
    """`rows`, `files`, `bytes` and `excess` of the open version.

    `excess`: by how many files a merge of the small files of each partition would reduce the table.
    """
    files = file_list(table)
    return {
        "rows": sum(files["num_records"]),
        "files": len(files["path"]),
        "bytes": sum(files["size_bytes"]),
        "excess": _excess(files),
    }


def row_count(table: DeltaTable) -> int:
    """The rows of the open version, from the statistics of its files."""
    return sum(table.get_add_actions(flatten=True).column("num_records").to_pylist())


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
    """A key that occurs in two rows of these files, None if there is none. Reads only the key columns."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    parts: dict[tuple[str, ...], list[pa.Table]] = {}
    store = file_system(table)
    for add in files:
        values = add["partitionValues"]
        columns = [name for name in key if name not in values]
        with store.open_input_file(unquote(add["path"])) as file:
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
    """The live files. Unquotes local paths, which delta-rs writes as URLs."""
    return [uri if "://" in uri else unquote(uri) for uri in table.file_uris()]


def partition_of(uri: str, columns: Sequence[str]) -> dict[str, str]:
    """The partition values of a file, from its folder names."""
    folders = uri.split("/")[:-1]
    named = (folder.partition("=") for folder in folders[len(folders) - len(columns) :])
    return {name: value for name, _, value in named}


def _wanted(names: Iterable[str]) -> list[str]:
    return [n for n in names if not n.startswith(("min.", "max.", "null_count."))]
