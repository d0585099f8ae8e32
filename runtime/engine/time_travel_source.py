"""A Delta table as of an old version, for an engine without time travel.

delta-rs lists the files of the version; a Python data source reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

from runtime.delta.store import file_list, file_uris
from runtime.s3.config import Access
from runtime.sources.filesystems import FileSystems

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

NAME = "delta_files"


class Files(InputPartition):
    """One partition: files of the version, each with its partition values."""

    def __init__(self, files: list[dict[str, Any]]) -> None:
        self.files = files


class PinnedReader(DataSourceReader):
    """Reads the listed Parquet files in the schema of the table."""

    def __init__(self, schema: pa.Schema, groups: list[list[dict[str, Any]]], access: Access) -> None:
        self._schema, self._groups, self._access = schema, groups, access

    def partitions(self) -> Sequence[InputPartition]:
        return [Files(group) for group in self._groups]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The rows of the files, with partition columns added."""
        assert isinstance(partition, Files)
        filesystems = FileSystems(self._access)
        for file in partition.files:
            with filesystems.open(file["path"]) as content:
                for batch in pq.ParquetFile(content).iter_batches():
                    yield _completed(batch, file["values"], self._schema)


class PinnedSource(DataSource):
    """Options: `ddl`: Spark DDL of the table; `files`: JSON, groups of {path, values}; `arrow`: the Arrow
    schema, hex of its IPC form; `s3`: an Access, as JSON."""

    @classmethod
    def name(cls) -> str:
        return NAME

    def schema(self) -> str:
        return self.options["ddl"]

    def reader(self, schema: StructType) -> DataSourceReader:
        arrow = pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(self.options["arrow"])))
        access = Access(*json.loads(self.options["s3"]))
        return PinnedReader(arrow, json.loads(self.options["files"]), access)


def read_pinned(spark: SparkSession, table: DeltaTable, access: Access, partitions: int) -> DataFrame:
    """The rows of the table at the version it is opened at."""
    from pyspark.sql.pandas.types import from_arrow_schema

    declared = from_arrow_schema(pa.schema(table.schema().to_arrow())).fields
    # Sail passes no time zone to a data source: timestamps are read as UTC without zone and cast back below.
    arrow = pa.schema([_without_zone(f) for f in pa.schema(table.schema().to_arrow())])
    files = file_list(table)
    values = [c for c in files if c.startswith("partition.")]
    listed = [
        {"path": path, "values": {c.partition(".")[2]: str(files[c][i]) for c in values}}
        for i, path in enumerate(file_uris(table))
    ]
    ddl = ", ".join(f"{f.name} {f.dataType.simpleString()}" for f in from_arrow_schema(arrow).fields)
    spark.dataSource.register(PinnedSource)
    rows = (
        spark.read.format(NAME)
        .options(
            ddl=ddl,
            s3=json.dumps(access),
            arrow=arrow.serialize().to_pybytes().hex(),
            files=json.dumps([g for g in (listed[i::partitions] for i in range(partitions)) if g]),
        )
        .load()
    )
    return rows.selectExpr(*(f"cast({f.name} as {f.dataType.simpleString()}) as {f.name}" for f in declared))


def _without_zone(field: pa.Field) -> pa.Field:
    return field.with_type(pa.timestamp("us")) if pa.types.is_timestamp(field.type) else field


def _completed(batch: pa.RecordBatch, values: dict[str, str], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [
        pa.array([values[f.name]] * len(batch)).cast(f.type)
        if f.name in values
        else batch.column(f.name).cast(f.type)
        for f in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
