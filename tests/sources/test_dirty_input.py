"""What docs/input.md says of dirty input: every case of its table is delivered, and has that outcome."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import gold
from lakehouse import Lakehouse
from runtime.engine import Engine
from tests.support.deliveries import Deliveries, play, song
from tests.support.dirty_records import LOGS, SONGS

EVENTS, CATALOGUE = "silver.events", "silver.songs"
CLEAN_EVENT = {
    "item_in_session": 0,
    "event_at": datetime(2018, 11, 2, 10, tzinfo=UTC),
    "user_id": 7,
    "first_name": "Ada",
    "last_name": "Byron",
    "gender": "F",
    "level": "free",
    "registration": datetime(2018, 10, 30, 17, 6, 6, 796000, UTC),
    "location": "London",
    "auth": "Logged In",
    "page": "NextSong",
    "method": "GET",
    "status": 200,
    "song": "Notes",
    "artist": "The Engine",
    "length": 200.5,
    "user_agent": "Mozilla/5.0",
    "event_date": datetime(2018, 11, 2, tzinfo=UTC).date(),
}
CLEAN_SONG = {
    "title": "Notes",
    "artist_id": "ARTIST1",
    "artist_name": "The Engine",
    "artist_location": None,
    "artist_latitude": None,
    "artist_longitude": None,
    "year": 1999,
    "duration": 200.5,
    "num_songs": 1,
}


def content(table: str) -> str:
    """The columns that hold what was delivered; the hash of the key is none of them."""
    return ", ".join(c for c in gold.TABLES[table].content if c != "event_id")


@pytest.fixture(scope="module")
def delivered(engine: Engine, engine_name: str, tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """A lake that has taken all cases in, in one batch with a good file of each source."""
    folder = tmp_path_factory.mktemp("dirt")
    sources = Deliveries(folder)
    sources.logs("good.json", [play(sessionId=1000)])
    sources.songs("good.json", [song(song_id="GOOD", year=1999)])
    for number, case in enumerate(LOGS):
        (sources.log_data / f"{number}.json").write_bytes(case.content(play(sessionId=number)))
    for number, case in enumerate(SONGS):
        (sources.song_data / f"{number}.json").write_bytes(
            case.content(song(song_id=f"S{number}", year=1999))
        )
    lake = sources.lake(folder / "lake", engine_name)
    report = lake.run()
    assert (len(report.states), report.failed) == (1, [])
    return lake


def rows(lake: Lakehouse, table: str, file: Path, order: str) -> list[dict[str, Any]]:
    found = lake.sql(f"select {content(table)} from {table} where _source_file = '{file}' order by {order}")
    return list(found.to_pylist())


def rejected(lake: Lakehouse, file: Path) -> list[tuple[str, ...]]:
    found = lake.sql(
        f"select reasons from silver.quarantine where _source_file = '{file}' order by _source_line"
    )
    return [tuple(row["reasons"]) for row in found.to_pylist()]


@pytest.mark.engine
@pytest.mark.parametrize("number", range(len(LOGS)), ids=[case.what for case in LOGS])
def test_a_dirty_log_has_the_outcome_the_documentation_gives(delivered: Lakehouse, number: int) -> None:
    case = LOGS[number]
    file = Path(str(delivered.settings.log_data), f"{number}.json")
    expected = [{"session_id": number, **CLEAN_EVENT, **kept} for kept in case.kept]
    assert rows(delivered, EVENTS, file, "item_in_session") == expected
    assert rejected(delivered, file) == list(case.rejected)


@pytest.mark.engine
@pytest.mark.parametrize("number", range(len(SONGS)), ids=[case.what for case in SONGS])
def test_a_dirty_song_has_the_outcome_the_documentation_gives(delivered: Lakehouse, number: int) -> None:
    case = SONGS[number]
    file = Path(str(delivered.settings.song_data), f"{number}.json")
    expected = [{"song_id": f"S{number}", **CLEAN_SONG, **kept} for kept in case.kept]
    assert rows(delivered, CATALOGUE, file, "song_id") == expected
    assert rejected(delivered, file) == list(case.rejected)
