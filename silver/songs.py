"""The song catalogue: one cleaned row per song."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bronze import song_data
from runtime.table import Records, Table, Upsert
from silver.cleaning import PROVENANCE, absent, integer, number, parse, text

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FIELDS = (
    "song_id", "title", "artist_id", "artist_name", "artist_location", "artist_latitude",
    "artist_longitude", "year", "duration", "num_songs",
)  # fmt: skip


def build(records: DataFrame) -> DataFrame:
    """Song records → songs, one row each; `record` holds the fields as delivered."""
    return parse(records, FIELDS).selectExpr(
        *PROVENANCE,
        "record",
        f"{text('record.song_id')} as song_id",
        f"{text('record.title')} as title",
        f"{text('record.artist_id')} as artist_id",
        f"{text('record.artist_name')} as artist_name",
        f"{text('record.artist_location')} as artist_location",
        f"{number('record.artist_latitude')} as artist_latitude",
        f"{number('record.artist_longitude')} as artist_longitude",
        f"nullif({integer('record.year')}, 0) as year",
        f"{number('record.duration')} as duration",
        f"{integer('record.num_songs')} as num_songs",
    )


TABLE = Table(
    name="silver.songs",
    grain="one row per song_id",
    inputs=(Records(song_data.TABLE),),
    build=build,
    write=Upsert(key=("song_id",), identity=("song_id",), fields=("song_id",)),
    schema="""
        song_id string not null comment 'natural key, from the catalogue',
        title string not null comment 'title, cleaned',
        artist_id string not null comment 'the artist',
        artist_name string not null comment 'the artist, as spelled with this song',
        artist_location string comment 'place of the artist, free text',
        artist_latitude double comment 'degrees north',
        artist_longitude double comment 'degrees east',
        year int comment 'year of release; NULL when unknown (0 in the source)',
        duration double not null comment 'seconds',
        num_songs int comment 'as delivered, always 1 in the known data',
        _source_file string not null comment 'file of the winning record',
        _source_line bigint not null comment 'its line in that file',
        _delivery bigint not null comment 'its delivery: precedence is (_delivery, _source_line)',
        _batch_id bigint not null comment 'the batch that last wrote this row'
    """,
    expectations={
        "song_id_is_present": "song_id is not null",
        "title_is_present": "title is not null",
        "artist_id_is_present": "artist_id is not null",
        "artist_name_is_present": "artist_name is not null",
        "duration_is_positive": "duration > 0",
        "year_is_valid": (
            f"{absent('record.year')} or {integer('record.year')} = 0 or year between 1000 and 2999"
        ),
        "latitude_is_valid": (f"{absent('record.artist_latitude')} or artist_latitude between -90 and 90"),
        "longitude_is_valid": (
            f"{absent('record.artist_longitude')} or artist_longitude between -180 and 180"
        ),
        "num_songs_is_integer": f"{absent('record.num_songs')} or num_songs is not null",
    },
)
