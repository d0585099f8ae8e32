"""Every play of a song: the fact table of the star."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.table import Lookup, Merge, Rows, Table
from silver import events as silver_events
from silver import songs as silver_songs
from silver.cleaning import alike

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def build(events: DataFrame, songs: DataFrame) -> DataFrame:
    """Plays among the events, each with its song where title, artist and duration agree exactly.

    Several songs agree: the smallest `song_id`. None agrees: NULL, and the play is kept. A no-break space
    in a name agrees with a blank.
    """
    plays = events.where("page = 'NextSong' and user_id is not null").selectExpr(
        "*", f"{alike('song')} as _title", f"{alike('artist')} as _artist"
    )
    matches = (
        songs.selectExpr(
            f"{alike('title')} as _title",
            f"{alike('artist_name')} as _artist",
            "duration as length",
            "song_id",
            "artist_id",
        )
        .selectExpr("*", "row_number() over (partition by _title, _artist, length order by song_id) as _rank")
        .where("_rank = 1")
    )
    return plays.join(matches, ["_title", "_artist", "length"], "left").selectExpr(
        "event_id as songplay_id",
        "event_at as start_time",
        "user_id",
        "level",
        "song_id",
        "artist_id",
        "session_id",
        "location",
        "user_agent",
        "year(event_at) as year",
        "month(event_at) as month",
    )


TABLE = Table(
    name="gold.songplays",
    grain="one row per play (page = NextSong)",
    inputs=(
        Rows(silver_events.TABLE, key=("event_id",)),
        Lookup(
            silver_songs.TABLE,
            ours=("song", "artist", "length"),
            theirs=("title", "artist_name", "duration"),
            alike=alike,
        ),
    ),
    build=build,
    write=Merge(key=("songplay_id",)),
    partition_by=("year", "month"),
    schema="""
        songplay_id bigint not null comment 'event_id of the play: the same on every rebuild',
        start_time timestamp not null comment 'when the play began, UTC',
        user_id int not null comment 'the listener',
        level string not null comment 'the plan of the listener at the time: free or paid',
        song_id string comment 'the song; NULL when the catalogue does not hold it',
        artist_id string comment 'the artist of that song',
        session_id int not null comment 'the session of the app',
        location string comment 'metropolitan area of the listener',
        user_agent string comment 'browser of the listener',
        year int not null comment 'UTC year of start_time',
        month int not null comment 'UTC month of start_time'
    """,
    references={
        "user_id": "gold.users",
        "start_time": "gold.time",
        "song_id": "gold.songs",
        "artist_id": "gold.artists",
    },
)
