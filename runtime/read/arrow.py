"""Parquet files straight into Arrow, where they hold a table's declared types as they are.

DuckDB converts what it read to Arrow value by value, which takes it several times as long as reading.
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
LENGTH = 4  # bytes before each text that is not in a dictionary


def rows_of(table: Table, uris: Sequence[str], stored: Collection[str]) -> pa.Table | None:
    """The rows of these local files, of which a version says that they hold the columns `stored`.

    None where something stands in the way, for DuckDB to convert or to tell.
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
    """How to read the files: texts that are numbers into a dictionary as such, which is quick to spread out.

    The largest file is asked; the rows are the same whatever it says.
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
    """A file, and the values that its folders give."""
    values = partition_of(uri, table.partition_by)
    condition = ds.scalar(True)
    for name in table.partition_by:
        condition &= ds.field(name) == pa.scalar(values[name]).cast(schema.field(name).type)
    return files.make_fragment(uri, LocalFileSystem(), partition_expression=condition)


def _holds(found: pa.Schema, table: Table, stored: Collection[str], schema: pa.Schema) -> bool:
    """Whether a file has every column of the version, with the values that the table declares."""
    wanted = [field for field in schema if field.name in stored and field.name not in table.partition_by]
    return all(f.name in found.names and _same(found.field(f.name).type, f.type) for f in wanted)


def _same(held: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether the values are of the type wanted, though perhaps otherwise laid out."""
    if pa.types.is_dictionary(held):
        held = held.value_type
    return bool(held == wanted or (pa.types.is_timestamp(held) and pa.types.is_timestamp(wanted)))
