"""The app's activity log as delivered: one JSON object per line, one file per day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.table import Deliver, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# In the order in which a JSONPaths file lists them (`log_json_paths`).
FIELDS = (
    "artist", "auth", "firstName", "gender", "itemInSession", "lastName", "length", "level", "location",
    "method", "page", "registration", "sessionId", "song", "status", "ts", "userAgent", "userId",
)  # fmt: skip


def build(delivered: DataFrame) -> DataFrame:
    """The records as they came."""
    return delivered.select("raw", "_source_file", "_source_line", "_delivery")


TABLE = Table(
    name="bronze.log_data",
    grain="one row per delivered log record",
    inputs=(),
    build=build,
    write=Deliver(source="log_data", fields=FIELDS),
    schema="""
        raw string not null comment 'the record, as delivered',
        _source_file string not null comment 'the file it came in; archive.zip!member in a zip',
        _source_line bigint not null comment 'its first line in that file, from 1',
        _delivery bigint not null comment 'number of the file content version, in order of listing',
        _batch_id bigint not null comment 'the batch that took it in',
        _ingested_at timestamp not null comment 'when that batch began, UTC'
    """,
)
