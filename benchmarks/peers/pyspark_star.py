"""The star schema in one PySpark job, as its usual and its tuned script share it."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as sf

SONG = (
    "song_id string, title string, artist_id string, artist_name string, artist_location string, "
    "artist_latitude double, artist_longitude double, year int, duration double"
)
EVENT = (
    "artist string, firstName string, gender string, itemInSession int, lastName string, length double, "
    "level string, location string, page string, sessionId int, song string, ts bigint, userAgent string, "
    "userId string"
)


def songs_of(catalogue: DataFrame) -> DataFrame:
    """One row per song."""
    year = sf.expr("nullif(year, 0)").alias("year")
    return catalogue.select("song_id", "title", "artist_id", year, "duration").dropDuplicates(["song_id"])


def artists_of(catalogue: DataFrame) -> DataFrame:
    """Per artist the most complete row."""
    known = (
        "int(nullif(artist_location, '') is not null) + int(artist_latitude is not null) "
        "+ int(artist_longitude is not null)"
    )
    best = Window.partitionBy("artist_id").orderBy(sf.expr(known).desc(), sf.col("year").desc(), "song_id")
    return (
        catalogue.withColumn("rank", sf.row_number().over(best))
        .where("rank = 1")
        .selectExpr(
            "artist_id",
            "artist_name as name",
            "nullif(artist_location, '') as location",
            "artist_latitude as latitude",
            "artist_longitude as longitude",
        )
    )


def users_of(events: DataFrame) -> DataFrame:
    """Each user's latest event."""
    order = [sf.col(c).desc() for c in ("ts", "sessionId", "itemInSession")]
    latest = sf.row_number().over(Window.partitionBy("userId").orderBy(*order))
    return (
        events.where("userId <> ''")
        .withColumn("rank", latest)
        .where("rank = 1")
        .selectExpr(
            "int(userId) as user_id", "firstName as first_name", "lastName as last_name", "gender", "level"
        )
    )


def plays_of(events: DataFrame) -> DataFrame:
    """The plays among the events, with their instant."""
    return events.where("page = 'NextSong' and userId <> ''").withColumn(
        "start_time", sf.expr("timestamp_millis(ts)")
    )


def time_of(plays: DataFrame) -> DataFrame:
    """The distinct instants."""
    return (
        plays.select("start_time")
        .distinct()
        .selectExpr(
            "start_time",
            "hour(start_time) as hour",
            "day(start_time) as day",
            "weekofyear(start_time) as week",
            "month(start_time) as month",
            "year(start_time) as year",
            "date_format(start_time, 'EEEE') as weekday",
        )
    )


def songplays_of(plays: DataFrame, catalogue: DataFrame) -> DataFrame:
    """Plays with their song where title, artist and duration agree."""
    matches = catalogue.groupBy("title", "artist_name", "duration").agg(
        sf.min(sf.struct("song_id", "artist_id")).alias("match")
    )
    on = (
        (plays.song == matches.title)
        & (plays.artist == matches.artist_name)
        & (plays.length == matches.duration)
    )
    return plays.join(matches, on, "left").select(
        sf.monotonically_increasing_id().alias("songplay_id"),
        "start_time",
        sf.expr("int(userId)").alias("user_id"),
        "level",
        sf.col("match.song_id").alias("song_id"),
        sf.col("match.artist_id").alias("artist_id"),
        sf.col("sessionId").alias("session_id"),
        "location",
        sf.expr("""trim(both '"' from userAgent)""").alias("user_agent"),
        sf.expr("year(start_time)").alias("year"),
        sf.expr("month(start_time)").alias("month"),
    )
