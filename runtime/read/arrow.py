"""Read Parquet files directly into Arrow, where their types are those that the table declares.

DuckDB converts rows to Arrow value by value, which takes several times as long as reading them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import dataset as ds
from pyarrow.fs import LocalFileSystem

from runtime.delta.store import partition_of
from runtime.table import Table

TYPES = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
LENGTH = 4  # bytes of the length before each text outside a dictionary


def rows_of(table: Table, uris: Sequence[str], stored: Collection[str]) -> pa.Table | None:
    """The rows of these local files; `stored` are the columns of the table's version.

    None where Arrow cannot read them directly: DuckDB then converts them, or reports the error.
    """
    if not all(column.type in TYPES for column in table.columns):
        return None
    schema = pa.schema([(column.name, TYPES[column.type]) for column in table.columns])
    if not uris:
        return schema.empty_table()
    try:
        files = _format(uris)
        parts = [_part(files, table, uri, schema) for uri in uris]
        if not all(_holds(part.physical_schema, table, stored, schema) for part in parts):
            return None
        return ds.FileSystemDataset(parts, schema, files, LocalFileSystem()).to_table()
    except (OSError, KeyError, pa.ArrowException):
        return None


def _format(uris: Sequence[str]) -> ds.ParquetFileFormat:
    """Read options: columns stored as dictionaries of texts stay so, because they decode faster.

    The largest file decides which. The rows are the same either way.
    """
    with pa.OSFile(max(uris, key=lambda uri: Path(uri).stat().st_size)) as file:
        metadata = pq.read_metadata(file)
    groups = metadata.row_group(0) if metadata.num_row_groups else None
    chunks = [groups.column(n) for n in range(metadata.num_columns)] if groups else []
    texts = [chunk for chunk in chunks if chunk.physical_type == "BYTE_ARRAY"]
    few = {c.path_in_schema for c in texts if c.total_uncompressed_size < LENGTH * c.num_values}
    return ds.ParquetFileFormat(
        read_options=ds.ParquetReadOptions(dictionary_columns=few, coerce_int96_timestamp_unit="us")
    )


def _part(files: ds.ParquetFileFormat, table: Table, uri: str, schema: pa.Schema) -> ds.Fragment:
    """One file, with the partition values in its path."""
    values = partition_of(uri, table.partition_by)
    condition = ds.scalar(True)
    for name in table.partition_by:
        condition &= ds.field(name) == pa.scalar(values[name]).cast(schema.field(name).type)
    return files.make_fragment(uri, LocalFileSystem(), partition_expression=condition)


def _holds(physical: pa.Schema, table: Table, stored: Collection[str], schema: pa.Schema) -> bool:
    """Whether a file has every column of the version, with values of the declared type."""
    fields = [field for field in schema if field.name in stored and field.name not in table.partition_by]
    return all(f.name in physical.names and _same(physical.field(f.name).type, f.type) for f in fields)


def _same(actual: pa.DataType, declared: pa.DataType) -> bool:
    """Whether the values are of the declared type, in any encoding or unit of time."""
    if pa.types.is_dictionary(actual):
        actual = actual.value_type
    return bool(actual == declared or (pa.types.is_timestamp(actual) and pa.types.is_timestamp(declared)))
