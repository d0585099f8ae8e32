"""What each table's `build` makes of rows given to it, without files, a lake or a run."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest
from chispa import assert_df_equality

from runtime.engine import Engine
from tests.support.comparing import collected
from tests.support.deliveries import event, play, song
from tests.support.rows import (
    TABLES,
    Row,
    assert_builds,
    event_row,
    failed,
    frame,
    play_row,
    records,
    song_row,
    songplay_row,
    user_row,
    utc,
)

pytestmark = pytest.mark.engine


def test_an_event_is_a_log_record_typed_and_cleaned(engine: Engine) -> None:
    delivered = [
        play(
            "2018-11-02 10:00:00",
            itemInSession="3",
            userId=7,
            song="MÃºm",
            artist=" The\tEngine ",
            userAgent='"Mozilla/5.0 (X11)"',
        ),
        event("2018-11-30 23:59:59", userId="", firstName=None, registration=None, level="paid"),
    ]
    registered = {"registration": utc("2018-10-30 17:06:06.796000")}
    expected = [
        play_row(item_in_session=3, song="Múm", artist="The Engine", user_agent="Mozilla/5.0 (X11)")
        | registered,
        event_row("2018-11-30 23:59:59", user_id=None, first_name=None, level="paid"),
    ]
    built = TABLES["silver.events"].build(records(engine, delivered))
    content = [name for name in TABLES["silver.events"].content if name != "event_id"]
    assert_df_equality(
        built.select(*content),
        frame(engine, "silver.events", expected).select(*content),
        ignore_row_order=True,
        ignore_nullable=True,
    )


def test_an_event_id_follows_from_session_item_and_instant_alone_and_is_never_negative(
    engine: Engine,
) -> None:
    same = [event(), event(page="About", userId="9"), play(sessionId="1")]
    others = [event(itemInSession=n) for n in range(1, 40)]
    built = TABLES["silver.events"].build(records(engine, [*same, *others]))
    ids = [
        row["event_id"] for row in collected(built.select("_source_line", "event_id").orderBy("_source_line"))
    ]
    assert len(set(ids[:3])) == 1
    assert len(set(ids)) == 40
    assert min(ids) >= 0


def test_a_log_record_fails_exactly_the_expectations_it_breaks(engine: Engine) -> None:
    cases: list[tuple[str | Row, list[str]]] = [
        (play(), []),
        (event(userId="", level="free"), []),
        (event(status=None, length=None, registration=None, auth=None), []),
        (play(userId=""), ["play_has_user"]),
        (play(userId=None), ["play_has_user"]),
        (play(userId="x"), ["user_id_is_integer", "play_has_user"]),
        (event(userId="x"), ["user_id_is_integer"]),
        (event(userId="-1"), ["user_id_is_integer"]),
        (event(sessionId=None), ["session_id_is_integer"]),
        (event(sessionId="5.5"), ["session_id_is_integer"]),
        (event(sessionId=2147483648), ["session_id_is_in_range"]),
        (event(sessionId="-99999999999999999999"), ["session_id_is_in_range"]),
        (event(sessionId="1e30"), ["session_id_is_in_range"]),
        (event(userId="2147483648.0"), ["user_id_is_in_range"]),
        (event(userId="2147483648.5"), ["user_id_is_integer"]),
        (event(itemInSession=-1), ["item_in_session_is_integer"]),
        (event(itemInSession=99999999999), ["item_in_session_is_integer"]),
        (event() | {"ts": 1541106106}, ["event_at_is_valid"]),
        (event() | {"ts": None}, ["event_at_is_valid"]),
        (event(page=" "), ["page_is_present"]),
        (event(level="gold"), ["level_is_known"]),
        (event(level=None), ["level_is_known"]),
        (play(length=0), ["length_is_positive"]),
        (play(length="NaN"), ["length_is_positive"]),
        (play(length="1e400"), ["length_is_positive"]),
        (event(status="ok"), ["status_is_integer"]),
        (event(registration="yesterday"), ["registration_is_valid"]),
        (play(userId="", level="?", length=-1), ["play_has_user", "level_is_known", "length_is_positive"]),
    ]
    table = TABLES["silver.events"]
    built = table.build(records(engine, [record for record, _ in cases]))
    assert failed(table, built) == [reasons for _, reasons in cases]


def test_a_song_is_a_song_record_typed_and_cleaned(engine: Engine) -> None:
    delivered = [
        song(),
        song(song_id="SONG2", title="LegiÃ\u0083Â£o", year="1999", artist_location=" London "),
        song(song_id="SONG3", artist_latitude="51.5", artist_longitude=-0.125, duration="99", num_songs=1.0),
    ]
    expected = [
        song_row(),
        song_row(song_id="SONG2", title="Legião", year=1999, artist_location="London"),
        song_row(song_id="SONG3", artist_latitude=51.5, artist_longitude=-0.125, duration=99.0),
    ]
    assert_builds(engine, "silver.songs", [records(engine, delivered)], expected)


def test_a_song_record_fails_exactly_the_expectations_it_breaks(engine: Engine) -> None:
    cases: list[tuple[Row, list[str]]] = [
        (song(), []),
        (song(year=None, num_songs=None, artist_latitude="", artist_longitude=180), []),
        (song(song_id=""), ["song_id_is_present"]),
        (song(title="\x00"), ["title_is_present"]),
        (song(artist_id=None), ["artist_id_is_present"]),
        (song(artist_name=" "), ["artist_name_is_present"]),
        (song(duration=0), ["duration_is_positive"]),
        (song(duration=None), ["duration_is_positive"]),
        (song(duration="1d"), ["duration_is_positive"]),
        (song(year=999), ["year_is_valid"]),
        (song(year=3000), ["year_is_valid"]),
        (song(year="MCM"), ["year_is_valid"]),
        (song(artist_latitude=90.01), ["latitude_is_valid"]),
        (song(artist_latitude="north"), ["latitude_is_valid"]),
        (song(artist_longitude=-180.01), ["longitude_is_valid"]),
        (song(num_songs="one"), ["num_songs_is_integer"]),
        (
            song(title=None, duration=-1, year=1),
            ["title_is_present", "duration_is_positive", "year_is_valid"],
        ),
    ]
    table = TABLES["silver.songs"]
    built = table.build(records(engine, [record for record, _ in cases]))
    assert failed(table, built) == [reasons for _, reasons in cases]


def test_the_quarantine_names_the_source_of_each_rejected_record_and_every_reason(engine: Engine) -> None:
    columns = "raw string, _reasons array<string>, _source_file string, _source_line bigint, _delivery bigint"
    songs = engine.spark.createDataFrame([("{}", ["a", "b"], "s.json", 1, 1)], columns)
    events = engine.spark.createDataFrame([("x", ["c"], "l.json", 9, 2)], columns)
    assert collected(TABLES["silver.quarantine"].build(songs, events).orderBy("_delivery")) == [
        {
            "source": "song_data", "raw": "{}", "reasons": ["a", "b"],
            "_source_file": "s.json", "_source_line": 1, "_delivery": 1,
        },
        {
            "source": "log_data", "raw": "x", "reasons": ["c"],
            "_source_file": "l.json", "_source_line": 9, "_delivery": 2,
        },
    ]  # fmt: skip


def test_a_play_is_linked_where_title_artist_and_duration_agree_exactly(engine: Engine) -> None:
    songs = [
        song_row(),
        song_row(song_id="SONG9", title="Twice"),
        song_row(song_id="SONG5", title="Twice", artist_id="ARTIST5"),
        song_row(song_id="SONG7", title="Twice"),
    ]
    events = [
        play_row(event_id=1),
        play_row(event_id=2, song="Twice"),  # three songs agree: the smallest song_id
        play_row(event_id=3, artist="Another"),  # the title alone
        play_row(event_id=4, length=200.4),
        play_row(event_id=5, song="notes"),
        play_row(event_id=6, song=None, artist=None, length=None),
        play_row("2019-01-01 00:00:00", event_id=7, song="Unknown"),
        event_row(event_id=8),
        play_row(event_id=9, page="Home"),
        play_row(event_id=10, user_id=None),
    ]
    expected = [
        songplay_row(songplay_id=1, song_id="SONG1", artist_id="ARTIST1"),
        songplay_row(songplay_id=2, song_id="SONG5", artist_id="ARTIST5"),
        *(songplay_row(songplay_id=n) for n in (3, 4, 5, 6)),
        songplay_row(songplay_id=7, start_time=utc("2019-01-01 00:00:00"), year=2019, month=1),
    ]
    inputs = [frame(engine, "silver.events", events), frame(engine, "silver.songs", songs)]
    assert_builds(engine, "gold.songplays", inputs, expected)


def test_a_play_belongs_to_the_month_it_has_in_utc(engine: Engine) -> None:
    # In Auckland, the zone of these tests, it is already December.
    events = [play_row("2018-11-30 23:59:59.999000")]
    inputs = [frame(engine, "silver.events", events), frame(engine, "silver.songs", [])]
    expected = [songplay_row(start_time=utc("2018-11-30 23:59:59.999000"))]
    assert_builds(engine, "gold.songplays", inputs, expected)


def test_a_user_is_as_in_the_latest_event_on_any_page(engine: Engine) -> None:
    def at(hour: int, **values: Any) -> Row:
        return event_row(f"2018-11-02 {hour:02}:00:00", **values)

    events = [
        at(11, user_id=1, level="paid"),  # the later of two, listed first
        at(10, user_id=1),
        at(10, user_id=2, session_id=5, item_in_session=9),  # same instant: the later session
        at(10, user_id=2, session_id=6, level="paid"),
        at(10, user_id=3, item_in_session=2, level="paid"),  # same session: the later item
        at(10, user_id=3, item_in_session=10),
        at(9, user_id=4, page="NextSong", level="paid"),  # a play, then another page
        at(12, user_id=4, page="Downgrade", last_name="King"),
        at(9, user_id=5, page="About", gender=None, first_name=None),  # no play at all
        at(10, user_id=None, level="paid"),  # logged out
    ]
    expected = [
        user_row(user_id=1, level="paid"),
        user_row(user_id=2, level="paid"),
        user_row(user_id=3),
        user_row(user_id=4, last_name="King"),
        user_row(user_id=5, gender=None, first_name=None),
    ]
    assert_builds(engine, "gold.users", [frame(engine, "silver.events", events)], expected)


def test_gold_songs_are_the_catalogue_without_what_belongs_to_the_artist(engine: Engine) -> None:
    songs = [song_row(year=1999, artist_location="London"), song_row(song_id="SONG2")]
    gold_song = {"song_id": "SONG1", "title": "Notes", "artist_id": "ARTIST1", "duration": 200.5}
    expected = [{**gold_song, "year": 1999}, {**gold_song, "song_id": "SONG2"}]
    assert_builds(engine, "gold.songs", [frame(engine, "silver.songs", songs)], expected)


def test_an_artist_is_the_most_complete_then_latest_then_first_of_its_spellings(engine: Engine) -> None:
    def of(artist: str, song_id: str, name: str, **values: Any) -> Row:
        return song_row(artist_id=artist, song_id=song_id, artist_name=name, **values)

    songs = [
        of("COMPLETE", "S1", "with nothing", year=2020),
        of("COMPLETE", "S2", "with a place", artist_location="London", year=2010),
        of("COMPLETE", "S3", "with all", artist_location="L", artist_latitude=1.0, artist_longitude=2.0),
        of("LATEST", "S4", "of no year", artist_latitude=1.0),
        of("LATEST", "S5", "of 1999", artist_location="Paris", year=1999),
        of("LATEST", "S6", "of 1998", artist_longitude=1.0, year=1998),
        of("FIRST", "S8", "of S8", year=2000),
        of("FIRST", "S7", "of S7", year=2000),
        of("ONLY", "S9", "alone"),
    ]
    expected: list[Row] = [
        {"artist_id": "COMPLETE", "name": "with all", "location": "L", "latitude": 1.0, "longitude": 2.0},
        {"artist_id": "LATEST", "name": "of 1999", "location": "Paris"},
        {"artist_id": "FIRST", "name": "of S7"},
        {"artist_id": "ONLY", "name": "alone"},
    ]
    assert_builds(engine, "gold.artists", [frame(engine, "silver.songs", songs)], expected)


INSTANTS = {  # instant, UTC -> (ISO week, weekday)
    "2018-11-21 21:56:47.796000": (47, "Wednesday"),
    "2018-12-30 23:59:59.999000": (52, "Sunday"),
    "2018-12-31 00:00:00": (1, "Monday"),
    "2019-01-01 12:00:00": (1, "Tuesday"),
    "2020-02-29 12:00:00": (9, "Saturday"),
    "2020-12-31 23:00:00": (53, "Thursday"),
    "2021-01-01 00:00:00": (53, "Friday"),
    "2021-01-03 23:59:59": (53, "Sunday"),
    "2021-01-04 00:00:00": (1, "Monday"),
}


def time_row(at: datetime, week: int, weekday: str) -> Row:
    taken_apart = {"hour": at.hour, "day": at.day, "month": at.month, "year": at.year}
    return {"start_time": at, **taken_apart, "week": week, "weekday": weekday}


def test_time_has_iso_weeks_english_weekdays_and_utc_once_an_instant(engine: Engine) -> None:
    plays = [songplay_row(start_time=utc(at)) for at in INSTANTS]
    shared = [songplay_row(songplay_id=2, user_id=8, start_time=utc("2018-12-31 00:00:00"))]
    expected = [time_row(utc(at), *named) for at, named in INSTANTS.items()]
    for row in expected:  # Python's calendar agrees with what is written above
        day: date = row["start_time"].date()
        assert (row["week"], row["weekday"]) == (day.isocalendar().week, f"{day:%A}")
    assert_builds(engine, "gold.time", [frame(engine, "gold.songplays", [*plays, *shared])], expected)
