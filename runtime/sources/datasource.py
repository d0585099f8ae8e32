"""The slices of a batch as a table of records that either engine reads in parallel."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from pyspark import cloudpickle
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

import runtime.errors
import runtime.sources
from runtime.sources.reading import read_slices
from runtime.sources.slicing import from_json

# Workers of a cluster have no copy of these modules, so their code travels with the plan.
for module in (runtime.sources, runtime.errors):
    cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]


class SourceRecords(DataSource):
    """Format `sparkify_records`: option `partitions` is what `slicing.to_json` wrote."""

    @classmethod
    def name(cls) -> str:
        return "sparkify_records"

    def schema(self) -> str:
        return "raw string, _source_file string, _source_line bigint, _delivery bigint"

    def reader(self, schema: object) -> DataSourceReader:
        return SliceReader(self.options["partitions"])


class SliceReader(DataSourceReader):
    """One partition for each list of slices."""

    def __init__(self, partitions: str) -> None:
        self._partitions = partitions

    def partitions(self) -> list[InputPartition]:
        return [InputPartition(slices) for slices in from_json(self._partitions)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        yield from read_slices(partition.value)
