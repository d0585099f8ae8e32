"""The artists of the catalogue, each by the most complete of their spellings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.table import Fold, Merge, Table
from silver import songs as silver_songs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

COMPLETENESS = """
    int(artist_location is not null) + int(artist_latitude is not null)
    + int(artist_longitude is not null)
"""


def build(songs: DataFrame) -> DataFrame:
    """Per artist the row with most of place known, then the latest year, then the smallest song_id."""
    ranked = songs.selectExpr(
        "artist_id",
        "artist_name as name",
        "artist_location as location",
        "artist_latitude as latitude",
        "artist_longitude as longitude",
        f"row_number() over (partition by artist_id order by {COMPLETENESS} desc,"
        " coalesce(year, 0) desc, song_id) as _rank",
    )
    return ranked.where("_rank = 1").drop("_rank")


TABLE = Table(
    name="gold.artists",
    grain="one row per artist_id",
    inputs=(
        Fold(
            silver_songs.TABLE,
            key=("artist_id",),
            whole=True,
            made_by=(
                ("name", "artist_name"),
                ("location", "artist_location"),
                ("latitude", "artist_latitude"),
                ("longitude", "artist_longitude"),
            ),
        ),
    ),
    build=build,
    write=Merge(key=("artist_id",)),
    schema="""
        artist_id string not null comment 'natural key, from the catalogue',
        name string not null comment 'name, as spelled in the chosen row',
        location string comment 'place, free text',
        latitude double comment 'degrees north',
        longitude double comment 'degrees east'
    """,
)
