"""The same PySpark script tuned for one machine: schemas given, small files read as one, few partitions."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pyspark.sql import SparkSession

from benchmarks.peers.pyspark_star import (
    EVENT,
    SONG,
    artists_of,
    plays_of,
    songplays_of,
    songs_of,
    time_of,
    users_of,
)


def main(songs: str, logs: str, out: str) -> None:
    """Read all, overwrite all."""
    cores = str(len(os.sched_getaffinity(0)))
    spark = (
        SparkSession.builder.appName("sparkify")
        .master(f"local[{cores}]")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", cores)
        .config("spark.sql.files.openCostInBytes", "16384")
        .getOrCreate()
    )
    catalogue = spark.read.schema(SONG).option("recursiveFileLookup", "true").json(songs).cache()
    events = spark.read.schema(EVENT).option("recursiveFileLookup", "true").json(logs).cache()
    plays = plays_of(events)
    songs_of(catalogue).write.parquet(f"{out}/songs", mode="overwrite")
    artists_of(catalogue).write.parquet(f"{out}/artists", mode="overwrite")
    users_of(events).write.parquet(f"{out}/users", mode="overwrite")
    time_of(plays).write.partitionBy("year", "month").parquet(f"{out}/time", mode="overwrite")
    songplays_of(plays, catalogue).write.partitionBy("year", "month").parquet(
        f"{out}/songplays", mode="overwrite"
    )
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:4])
