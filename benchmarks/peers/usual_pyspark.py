"""The usual PySpark script: default settings, inferred schemas, overwrite, a folder a year and artist."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pyspark.sql import SparkSession

from benchmarks.peers.pyspark_star import artists_of, plays_of, songplays_of, songs_of, time_of, users_of


def main(songs: str, logs: str, out: str) -> None:
    """Read all, overwrite all."""
    spark = SparkSession.builder.appName("sparkify").config("spark.sql.session.timeZone", "UTC").getOrCreate()
    catalogue = spark.read.option("recursiveFileLookup", "true").json(songs)
    events = spark.read.option("recursiveFileLookup", "true").json(logs)
    plays = plays_of(events)
    songs_of(catalogue).write.partitionBy("year", "artist_id").parquet(f"{out}/songs", mode="overwrite")
    artists_of(catalogue).write.parquet(f"{out}/artists", mode="overwrite")
    users_of(events).write.parquet(f"{out}/users", mode="overwrite")
    time_of(plays).write.partitionBy("year", "month").parquet(f"{out}/time", mode="overwrite")
    songplays_of(plays, catalogue).write.partitionBy("year", "month").parquet(
        f"{out}/songplays", mode="overwrite"
    )
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:4])
