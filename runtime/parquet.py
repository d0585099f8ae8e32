"""Parquet files straight into Arrow, where they hold a table's declared types as they are.

DuckDB converts what it read to Arrow value by value, which takes it several times as long as reading.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq

from runtime.delta import partition_of
from runtime.schema import Column
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
    with ThreadPoolExecutor(pa.cpu_count()) as beside:
        try:
            pieces = list(beside.map(lambda uri: _rows(table, uri, stored, schema), uris))
        except (OSError, KeyError, pa.ArrowException):
            beside.shutdown(cancel_futures=True)
            return None
    return pa.concat_tables(pieces) if pieces else schema.empty_table()


def _rows(table: Table, uri: str, stored: Collection[str], schema: pa.Schema) -> pa.Table:
    values = partition_of(uri, table.partition_by)
    names = [name for name in schema.names if name in stored and name not in values]
    with pa.OSFile(uri) as file:  # opened as a path: a lake's folder may look like a URI
        metadata = pq.read_metadata(file)
        found = pq.ParquetFile(file, metadata=metadata, read_dictionary=_in_dictionaries(metadata))
        read = found.read(columns=names)
    columns = [_column(column, read, stored, values) for column in table.columns]
    return pa.Table.from_arrays(columns, schema=schema)


def _in_dictionaries(metadata: pq.FileMetaData) -> list[str]:
    """The texts whose values are numbers into a dictionary: copied from there, they need no decoding."""
    groups = metadata.row_group(0) if metadata.num_row_groups else None
    chunks = [groups.column(n) for n in range(metadata.num_columns)] if groups else []
    return [
        chunk.path_in_schema
        for chunk in chunks
        if chunk.physical_type == "BYTE_ARRAY" and chunk.total_uncompressed_size < LENGTH * chunk.num_values
    ]


def _column(
    column: Column, read: pa.Table, stored: Collection[str], values: Mapping[str, str]
) -> pa.Array | pa.ChunkedArray:
    wanted = TYPES[column.type]
    if column.name in values:
        return pa.repeat(pa.scalar(values[column.name]).cast(wanted), read.num_rows)
    if column.name not in stored:
        return pa.nulls(read.num_rows, wanted)
    held = read.column(column.name)
    if held.type != wanted and not _same_kind(held.type, wanted):
        raise pa.ArrowTypeError(f"{column.name} is {held.type}, expected {wanted}")
    return held.cast(wanted)


def _same_kind(held: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether the values are what the table declares, only otherwise laid out."""
    if pa.types.is_dictionary(held):
        return bool(held.value_type == wanted)
    return bool(pa.types.is_timestamp(held) and pa.types.is_timestamp(wanted))
