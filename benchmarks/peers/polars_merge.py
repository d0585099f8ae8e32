"""Polars and delta-rs: gold only, with MERGE. The first run loads all; a later one gets the new files.

`python benchmarks/peers/polars_merge.py SONGS LOGS OUT` loads; with `--day FILE` it merges that log file
into what is in OUT. There is no ledger: whoever calls it must know which files are new.
"""

import sys
from pathlib import Path

import polars as pl
from deltalake import DeltaTable, write_deltalake

SONG = pl.Schema(
    {
        "song_id": pl.String,
        "title": pl.String,
        "artist_id": pl.String,
        "artist_name": pl.String,
        "artist_location": pl.String,
        "artist_latitude": pl.Float64,
        "artist_longitude": pl.Float64,
        "year": pl.Int32,
        "duration": pl.Float64,
    }
)
EVENT = pl.Schema(
    {
        "artist": pl.String,
        "firstName": pl.String,
        "gender": pl.String,
        "itemInSession": pl.Int32,
        "lastName": pl.String,
        "length": pl.Float64,
        "level": pl.String,
        "location": pl.String,
        "page": pl.String,
        "sessionId": pl.Int32,
        "song": pl.String,
        "ts": pl.Int64,
        "userAgent": pl.String,
        "userId": pl.String,
    }
)
LATEST = ["ts", "sessionId", "itemInSession"]


def main(songs: str, logs: str, out: str, *more: str) -> None:
    """Load everything, or merge one day."""
    catalogue = stored_songs(out) if more else cleaned(read(sorted(Path(songs).rglob("*.json")), SONG))
    files = [Path(more[1])] if more else sorted(Path(logs).rglob("*.json"))
    events = read(files, EVENT).with_columns(
        pl.from_epoch("ts", time_unit="ms")
        .dt.cast_time_unit("us")
        .dt.replace_time_zone("UTC")
        .alias("start_time"),
        pl.col("userId").cast(pl.Int32, strict=False).alias("user_id"),
    )
    plays = songplays(events, catalogue)
    if more:
        merge(out, "songplays", plays, ["songplay_id"])
        merge(out, "users", users(events), ["user_id"], newer="s._seen_ts >= t._seen_ts")
        merge(out, "time", times(plays), ["start_time"])
        return
    save(out, "songplays", plays, partition_by=["year", "month"])
    save(out, "users", users(events))
    save(out, "songs", catalogue.select("song_id", "title", "artist_id", "year", "duration", "artist_name"))
    save(out, "artists", artists(catalogue))
    save(out, "time", times(plays), partition_by=["year", "month"])


def read(files: list[Path], schema: pl.Schema) -> pl.DataFrame:
    """JSON lines of many files; one buffer, since thousands of small scans cost more than their bytes."""
    if len(files) > 100:
        return pl.read_ndjson(b"\n".join(file.read_bytes() for file in files), schema=schema)
    return pl.concat([pl.read_ndjson(file, schema=schema) for file in files])


def cleaned(catalogue: pl.DataFrame) -> pl.DataFrame:
    """Unknown years and places as NULL."""
    return catalogue.with_columns(
        pl.col("year").replace(0, None), pl.col("artist_location").replace("", None)
    )


def songplays(events: pl.DataFrame, catalogue: pl.DataFrame) -> pl.DataFrame:
    """Plays with their song."""
    matches = (
        catalogue.sort("song_id")
        .unique(["title", "artist_name", "duration"], keep="first", maintain_order=True)
        .select("title", "artist_name", "duration", "song_id", "artist_id")
    )
    plays = events.filter((pl.col("page") == "NextSong") & pl.col("user_id").is_not_null())
    joined = plays.join(
        matches,
        left_on=["song", "artist", "length"],
        right_on=["title", "artist_name", "duration"],
        how="left",
    )
    return joined.select(
        (pl.struct("sessionId", "itemInSession", "ts").hash() // 2).cast(pl.Int64).alias("songplay_id"),
        "start_time",
        "user_id",
        "level",
        "song_id",
        "artist_id",
        pl.col("sessionId").alias("session_id"),
        "location",
        pl.col("userAgent").str.strip_chars('"').alias("user_agent"),
        pl.col("start_time").dt.year().cast(pl.Int32).alias("year"),
        pl.col("start_time").dt.month().cast(pl.Int32).alias("month"),
    )


def users(events: pl.DataFrame) -> pl.DataFrame:
    """Each user's latest event."""
    latest = events.filter(pl.col("user_id").is_not_null()).sort(LATEST).unique("user_id", keep="last")
    return latest.select(
        "user_id",
        pl.col("firstName").alias("first_name"),
        pl.col("lastName").alias("last_name"),
        "gender",
        "level",
        pl.col("ts").alias("_seen_ts"),
    )


def artists(catalogue: pl.DataFrame) -> pl.DataFrame:
    """Per artist the most complete row."""
    known = [pl.col(f"artist_{c}").is_not_null().cast(pl.Int8) for c in ("location", "latitude", "longitude")]
    ranked = catalogue.with_columns(
        pl.sum_horizontal(known).alias("known"), pl.col("year").fill_null(0).alias("y")
    )
    best = ranked.sort(["known", "y", "song_id"], descending=[True, True, False])
    return best.unique("artist_id", keep="first", maintain_order=True).select(
        "artist_id",
        pl.col("artist_name").alias("name"),
        pl.col("artist_location").alias("location"),
        pl.col("artist_latitude").alias("latitude"),
        pl.col("artist_longitude").alias("longitude"),
    )


def times(plays: pl.DataFrame) -> pl.DataFrame:
    """The distinct instants."""
    at = pl.col("start_time").dt
    return plays.select(pl.col("start_time").unique()).with_columns(
        at.hour().cast(pl.Int32).alias("hour"),
        at.day().cast(pl.Int32).alias("day"),
        at.week().cast(pl.Int32).alias("week"),
        at.month().cast(pl.Int32).alias("month"),
        at.year().cast(pl.Int32).alias("year"),
        at.strftime("%A").alias("weekday"),
    )


def stored_songs(out: str) -> pl.DataFrame:
    """The catalogue as an earlier run left it."""
    return pl.read_delta(f"{out}/songs")


def save(out: str, name: str, rows: pl.DataFrame, partition_by: list[str] | None = None) -> None:
    """A whole table."""
    write_deltalake(f"{out}/{name}", rows.to_arrow(), mode="overwrite", partition_by=partition_by)


def merge(out: str, name: str, rows: pl.DataFrame, key: list[str], newer: str | None = None) -> None:
    """MERGE: update what is newer where that matters, insert what is not there."""
    on = " and ".join(f"t.{k} = s.{k}" for k in key)
    if "year" in rows.columns:  # only these months can hold a match
        months = " or ".join(
            f"(t.year = {y} and t.month = {m})" for y, m in rows.select("year", "month").unique().rows()
        )
        on += f" and ({months})"
    merger = DeltaTable(f"{out}/{name}").merge(rows.to_arrow(), on, source_alias="s", target_alias="t")
    if newer:
        merger = merger.when_matched_update_all(predicate=newer)
    merger.when_not_matched_insert_all().execute()


if __name__ == "__main__":
    main(*sys.argv[1:])
