"""The slices of a batch as a table of records that either engine reads in parallel."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pyarrow as pa
from pyspark import cloudpickle
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

import runtime.errors
import runtime.s3
import runtime.sources
from runtime.s3.access import Access
from runtime.sources.content import ContentReader
from runtime.sources.places import Places
from runtime.sources.reading import read_slices
from runtime.sources.renaming import Renames
from runtime.sources.slicing import from_json

# Workers of a cluster have no copy of these modules, so their code travels with the plan.
for module in (runtime.sources, runtime.s3, runtime.errors):
    cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]


class SourceRecords(DataSource):
    """Format `sparkify_records`: option `partitions` is what `slicing.to_json` wrote, `s3` an Access
    and `renames` Renames, as JSON.

    No option holds a credential: a worker asks the standard chain where it runs.
    """

    @classmethod
    def name(cls) -> str:
        return "sparkify_records"

    def schema(self) -> str:
        return "raw string, _source_file string, _source_line bigint, _delivery bigint"

    def reader(self, schema: object) -> DataSourceReader:
        return SliceReader(
            self.options["partitions"],
            Access(*json.loads(self.options.get("s3", "[]"))),
            json.loads(self.options.get("renames", "{}")),
        )


class SliceReader(DataSourceReader):
    """One partition for each list of slices."""

    def __init__(self, partitions: str, access: Access, renames: Renames) -> None:
        self._partitions, self._access, self._renames = partitions, access, renames

    def partitions(self) -> list[InputPartition]:
        return [InputPartition(slices) for slices in from_json(self._partitions)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        with ContentReader(Places(self._access)) as content:
            yield from read_slices(partition.value, content, self._renames)
