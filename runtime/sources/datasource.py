"""A data source that reads the slices of a batch as records, in the engine's workers or in this process."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark import cloudpickle
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

import runtime.errors
import runtime.s3
import runtime.sources
from runtime.s3.config import Access
from runtime.sources.filesystems import FileSystems
from runtime.sources.jsonpaths import Renames
from runtime.sources.open_file import ContentReader
from runtime.sources.reading import SCHEMA, read_slices
from runtime.sources.slicing import Slice, from_json, to_json

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

COLUMNS = "raw string, _source_file string, _source_line bigint, _delivery bigint"

# Workers of a cluster do not have these modules, so cloudpickle sends their code with the plan.
for module in (runtime.sources, runtime.s3, runtime.errors):
    cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]


class SourceRecords(DataSource):
    """Format `sparkify_records`, with JSON options: `partitions` from `slicing.to_json`, `s3` an Access,
    `renames` a Renames.

    No option holds a credential: a worker uses the standard chain of its own machine.
    """

    @classmethod
    def name(cls) -> str:
        return "sparkify_records"

    def schema(self) -> str:
        return COLUMNS

    def reader(self, schema: object) -> DataSourceReader:
        return SliceReader(
            self.options["partitions"],
            Access(*json.loads(self.options.get("s3", "[]"))),
            json.loads(self.options.get("renames", "{}")),
        )


class SliceReader(DataSourceReader):
    def __init__(self, partitions: str, access: Access, renames: Renames) -> None:
        self._partitions, self._access, self._renames = partitions, access, renames

    def partitions(self) -> list[InputPartition]:
        return [InputPartition(slices) for slices in from_json(self._partitions)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        with ContentReader(FileSystems(self._access)) as content:
            yield from read_slices(partition.value, content, self._renames)


def read_in_parallel(
    spark: SparkSession, partitions: Sequence[Sequence[Slice]], renames: Renames, access: Access
) -> DataFrame:
    """Read the slices with one task of the engine per partition; columns as in `COLUMNS`."""
    spark.dataSource.register(SourceRecords)
    return (
        spark.read.format(SourceRecords.name())
        .option("partitions", to_json(partitions))
        .option("renames", json.dumps(renames))
        .option("s3", json.dumps(access))
        .load()
    )


def read_here(spark: SparkSession, pieces: Iterable[Slice], renames: Renames, access: Access) -> DataFrame:
    """Read the slices in this process, which is faster than starting workers for a few records.

    Columns as in `COLUMNS`. Raises Unreadable.
    """
    with ContentReader(FileSystems(access)) as content:
        records = pa.Table.from_batches(read_slices(pieces, content, renames), SCHEMA)
    return spark.createDataFrame(records, COLUMNS)
