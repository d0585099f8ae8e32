"""Records that broke a rule, kept as delivered with every reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.table import Collect, Rejects, Table
from silver import events, songs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

COLUMNS = ("raw", "_reasons as reasons", "_source_file", "_source_line", "_delivery")


def build(rejected_songs: DataFrame, rejected_events: DataFrame) -> DataFrame:
    """Rejected records of both sources, named after the source."""
    return rejected_songs.selectExpr("'song_data' as source", *COLUMNS).unionByName(
        rejected_events.selectExpr("'log_data' as source", *COLUMNS)
    )


TABLE = Table(
    name="silver.quarantine",
    grain="one row per rejected record",
    inputs=(Rejects(songs.TABLE), Rejects(events.TABLE)),
    build=build,
    write=Collect(),
    schema="""
        source string not null comment 'song_data or log_data',
        raw string not null comment 'the record, as delivered',
        reasons array<string> not null comment 'the expectations it failed, all of them',
        _source_file string not null comment 'the file it came in',
        _source_line bigint not null comment 'its line in that file',
        _delivery bigint not null comment 'number of the file content version',
        _batch_id bigint not null comment 'the batch that rejected it'
    """,
)
