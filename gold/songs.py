"""The songs of the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.table import Merge, Rows, Table
from silver import songs as silver_songs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def build(songs: DataFrame) -> DataFrame:
    """The columns analysts use."""
    return songs.select("song_id", "title", "artist_id", "year", "duration")


TABLE = Table(
    name="gold.songs",
    grain="one row per song_id",
    inputs=(Rows(silver_songs.TABLE, key=("song_id",)),),
    build=build,
    write=Merge(key=("song_id",)),
    schema="""
        song_id string not null comment 'natural key, from the catalogue',
        title string not null comment 'title',
        artist_id string not null comment 'the artist',
        year int comment 'year of release; NULL when unknown',
        duration double not null comment 'seconds'
    """,
    references={"artist_id": "gold.artists"},
)
