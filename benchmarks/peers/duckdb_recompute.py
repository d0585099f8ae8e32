"""A DuckDB script: read all JSON, compute the star schema, write Parquet. Every run is a whole run."""

import sys
from pathlib import Path

import duckdb

SONG = {
    "song_id": "VARCHAR",
    "title": "VARCHAR",
    "artist_id": "VARCHAR",
    "artist_name": "VARCHAR",
    "artist_location": "VARCHAR",
    "artist_latitude": "DOUBLE",
    "artist_longitude": "DOUBLE",
    "year": "INTEGER",
    "duration": "DOUBLE",
}
EVENT = {
    "artist": "VARCHAR",
    "firstName": "VARCHAR",
    "gender": "VARCHAR",
    "itemInSession": "INTEGER",
    "lastName": "VARCHAR",
    "length": "DOUBLE",
    "level": "VARCHAR",
    "location": "VARCHAR",
    "page": "VARCHAR",
    "sessionId": "INTEGER",
    "song": "VARCHAR",
    "ts": "BIGINT",
    "userAgent": "VARCHAR",
    "userId": "VARCHAR",
}
TABLES = {
    "songplays": """
        select hash(sessionId, itemInSession, ts) as songplay_id, start_time, user_id, level, song_id,
            artist_id, sessionId as session_id, location, trim(userAgent, '"') as user_agent,
            year(start_time) as year, month(start_time) as month
        from events left join (
            select title, artist_name, duration, min(song_id) as song_id,
                arg_min(artist_id, song_id) as artist_id
            from songs group by all
        ) on song = title and artist = artist_name and length = duration
        where page = 'NextSong' and user_id is not null""",
    "users": """
        select user_id, firstName as first_name, lastName as last_name, gender, level
        from (select *, row_number() over (
            partition by user_id order by ts desc, sessionId desc, itemInSession desc) as rank from events)
        where user_id is not null and rank = 1""",
    "songs": "select song_id, title, artist_id, nullif(year, 0) as year, duration from songs",
    "artists": """
        select artist_id, artist_name as name, nullif(artist_location, '') as location,
            artist_latitude as latitude, artist_longitude as longitude
        from (select *, row_number() over (
            partition by artist_id
            order by (nullif(artist_location, '') is not null)::int + (artist_latitude is not null)::int
                + (artist_longitude is not null)::int desc, year desc, song_id) as rank from songs)
        where rank = 1""",
    "time": """
        select start_time, hour(start_time) as hour, day(start_time) as day, week(start_time) as week,
            month(start_time) as month, year(start_time) as year, dayname(start_time) as weekday
        from (select distinct epoch_ms(ts) as start_time from events where page = 'NextSong')""",
}
PARTITIONED = {"songplays", "time"}


def main(songs: str, logs: str, out: str) -> None:
    """Compute everything anew."""
    database = duckdb.connect()
    database.execute("set TimeZone = 'UTC'")
    database.execute(f"create table songs as from read_json('{songs}/**/*.json', columns = {SONG})")
    database.execute(
        "create table events as select *, epoch_ms(ts) as start_time, "
        "try_cast(userId as integer) as user_id "
        f"from read_json('{logs}/**/*.json', format = 'newline_delimited', columns = {EVENT})"
    )
    for name, select in TABLES.items():
        folder = Path(out, name)
        folder.mkdir(parents=True, exist_ok=True)
        if name in PARTITIONED:
            where, options = folder, ", partition_by (year, month), overwrite_or_ignore"
        else:
            where, options = folder / "rows.parquet", ""
        database.execute(f"copy ({select}) to '{where}' (format parquet{options})")


if __name__ == "__main__":
    main(*sys.argv[1:4])
