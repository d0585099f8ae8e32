"""A row back to its records: which one made it, what became of the others, and why a play has no song."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import gold
from lakehouse import Lakehouse
from runtime.cli import main
from runtime.engine import Engine
from runtime.errors import UsageError
from runtime.read.keys import key_columns, key_text
from runtime.read.trace import Found, Record, Trace
from runtime.read.trace.records import records_of
from runtime.read.trace.rows import in_sql, key_of
from runtime.table import Fold
from tests.support.deliveries import Deliveries, event, play, song

pytestmark = [pytest.mark.engine, pytest.mark.long_on_spark]
NEXT = {"sessionId": 2, "song": "Notes", "length": 201.5}
NEW_LEVEL = event("2018-11-03 11:00:00", sessionId=3, level="paid")


@pytest.fixture(scope="module")
def lake(engine: Engine, engine_name: str, tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """Batch 1: songs, a play delivered twice, a play no song fits. Batch 2: corrections of the first play,
    one of them invalid, and user 7 upgrades. Batch 3: the first play moves to user 8."""
    folder = tmp_path_factory.mktemp("traced")
    sources = Deliveries(folder / "sources")
    lake = sources.lake(folder / "lake", engine_name)
    other = song(song_id="SONG2", title="Sketches", artist_location="London", duration=99.5)
    sources.songs("songs.json", [song(), other])
    again = dict(reversed(play().items()))
    sources.logs("1.json", [play(), again, play("2018-11-02 12:00:00", **NEXT)])
    lake.run()
    sources.logs("2.json", [play(location="Oslo"), play(level="gold"), NEW_LEVEL])
    lake.run()
    sources.logs("3.json", [play(userId="8", location="<b>Bergen</b>\x1b[31m")])
    lake.run()
    return lake


def linked(lake: Lakehouse) -> int:
    """The songplay_id of the play that has a song."""
    (row,) = lake.sql("select songplay_id from gold.songplays where song_id is not null").to_pylist()
    return int(row["songplay_id"])


def unlinked(lake: Lakehouse) -> int:
    (row,) = lake.sql("select songplay_id from gold.songplays where song_id is null").to_pylist()
    return int(row["songplay_id"])


def below(found: Found, relation: str) -> list[Found]:
    return [s for s in found.sources if isinstance(s, Found) and s.relation == relation]


def told(records: tuple[Found | Record, ...] | tuple[Record, ...]) -> list[tuple[str, str, int]]:
    """Outcome, file name and line of each record."""
    return [(r.outcome, Path(r.file).name, r.line) for r in records if isinstance(r, Record)]


def test_a_play_leads_to_every_record_of_its_key_and_to_its_song(lake: Lakehouse) -> None:
    trace = lake.trace("songplays", linked(lake))
    (made_from,) = below(trace.row, "made from")
    assert told(made_from.sources) == [
        ("winner", "3.json", 1),
        ("superseded", "1.json", 1),
        ("superseded", "1.json", 2),
        ("superseded", "2.json", 1),
        ("quarantined", "2.json", 2),
    ]
    winner, *_, rejected = made_from.records()
    assert json.loads(winner.raw)["userId"] == "8"
    assert rejected.reasons == ("level_is_known",)
    (joined,) = below(trace.row, "joined to")
    assert (joined.table, joined.key, told(joined.sources)) == (
        "silver.songs", "SONG1", [("winner", "songs.json", 1)],
    )  # fmt: skip


def test_as_of_an_earlier_batch_the_then_winner_is_told_and_nothing_later(lake: Lakehouse) -> None:
    trace = lake.trace("songplays", linked(lake), batch=1)
    assert trace.batch_id == 1
    (made_from,) = below(trace.row, "made from")
    assert told(made_from.sources) == [("winner", "1.json", 2), ("duplicate", "1.json", 1)]


def test_a_play_without_a_song_names_the_nearest_songs_and_how_they_differ(lake: Lakehouse) -> None:
    (gap,) = below(lake.trace("songplays", unlinked(lake)).row, "no match in")
    assert dict(gap.row) == {"title": "Notes", "artist_name": "The Engine", "duration": 201.5}
    candidates = below(gap, "candidate")
    assert [(c.key, c.note) for c in candidates] == [
        ("SONG1", "title and artist_name agree; duration 200.5, not 201.5"),
        ("SONG2", "artist_name agrees; title Sketches, not Notes; duration 99.5, not 201.5"),
    ]
    assert told(candidates[0].sources) == [("winner", "songs.json", 1)]


def test_a_user_shows_what_set_the_level_and_what_had_set_it_before(lake: Lakehouse) -> None:
    trace = lake.trace("users", 7)
    assert dict(trace.row.row)["level"] == "paid"
    (setting,), (first,) = below(trace.row, "set by"), below(trace.row, "before that by")
    assert setting.note == "level free → paid"
    assert told(setting.sources) == [("winner", "2.json", 3)]
    assert first.note == "first seen"
    assert told(first.sources) == [("winner", "1.json", 3)]


def test_an_artist_is_made_from_the_songs_that_agree_and_passes_over_the_others(lake: Lakehouse) -> None:
    row = lake.trace("artists", "ARTIST1").row
    assert [s.key for s in below(row, "made from")] == ["SONG2"]
    assert [s.key for s in below(row, "passed over")] == ["SONG1"]


def test_a_song_and_an_instant_lead_to_their_records(lake: Lakehouse) -> None:
    assert told(lake.trace("songs", "SONG2").records) == [("winner", "songs.json", 2)]
    trace = lake.trace("time", "2018-11-02T12:00:00Z")
    assert told(trace.records)[0] == ("winner", "1.json", 3)
    assert [s.key for s in below(trace.row, "made from")] == [str(unlinked(lake))]


def test_a_period_leads_to_the_event_it_began_with(lake: Lakehouse) -> None:
    trace = lake.trace("user_levels", "7:2018-11-03T11:00:00Z")
    (begun,) = below(trace.row, "begun by")
    assert told(begun.sources) == [("winner", "2.json", 3)]


def test_rows_of_silver_and_bronze_can_be_traced_too(lake: Lakehouse) -> None:
    assert told(lake.trace("silver.songs", "SONG1").records) == [("winner", "songs.json", 1)]
    assert len(lake.trace("silver.events", linked(lake)).records) == 5
    (rejected,) = lake.sql("from silver.quarantine").to_pylist()
    key = f"{rejected['_delivery']}:{rejected['_source_line']}"
    (record,) = lake.trace("silver.quarantine", key).records
    assert (record.outcome, record.reasons, record.line) == ("quarantined", ("level_is_known",), 2)
    (record,) = lake.trace("bronze.log_data", key).records
    assert (record.outcome, record.raw) == ("delivered", rejected["raw"])


@pytest.mark.parametrize(
    ("table", "key", "message"),
    [
        ("users", "70", "no row 70 as of batch 3; the nearest is 8"),
        ("songs", "SONG", "the nearest is SONG1"),
        ("time", "2018-11-02T12:00:01Z", r"the nearest is 2018-11-02T12:00:00\.000Z"),
        ("users", "-7", "a whole number from 0"),
        ("users", "1e1", "a whole number from 0"),
        ("user", "7", r"did you mean gold\.users\?"),
        ("silver.quarantine", "2", "_delivery:_source_line"),
    ],
)
def test_what_is_not_there_is_refused_naming_the_nearest(
    lake: Lakehouse, table: str, key: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        lake.trace(table, key)


def test_every_record_of_a_dirty_delivery_has_the_outcome_the_run_counted(
    dirty_lake: Lakehouse, dirty_sample: Path
) -> None:
    truth = json.loads((dirty_sample / "truth.json").read_text())["records"]
    outcomes: Counter[str] = Counter()
    for name in ("silver.events", "silver.songs"):
        table = gold.TABLES[name]
        keys = [key_text(key_of(table, row)) for row in dirty_lake.table(name).arrow().to_pylist()]
        found = records_of(dirty_lake.at(), table, keys)
        outcomes.update(record.outcome for records in found.values() for record in records)
    assert outcomes["winner"] == truth["accepted"]
    assert outcomes["duplicate"] == truth["duplicate"]
    assert outcomes["superseded"] == truth["superseded"]
    assert 0 < outcomes["quarantined"] <= truth["quarantined"]


def test_every_row_agrees_with_an_input_row_in_what_its_table_says_it_is_made_by(
    dirty_lake: Lakehouse,
) -> None:
    folds = [(t, i) for t in gold.TABLES.values() for i in t.inputs if isinstance(i, Fold) and i.made_by]
    assert {table.name for table, _ in folds} >= {"gold.users", "gold.artists"}
    for table, driver in folds:
        keys = zip((column.name for column in key_columns(table)), driver.key, strict=True)
        same = " and ".join(f"o.{a} is not distinct from t.{b}" for a, b in (*keys, *driver.made_by))
        made = f"exists (from {in_sql(driver.table)} t where {same})"
        without = f"select count(*) as n from {in_sql(table)} o where not {made}"
        assert dirty_lake.sql(without).to_pylist() == [{"n": 0}]


def test_of_every_user_the_event_that_set_the_row_says_what_the_row_says(dirty_lake: Lakehouse) -> None:
    starts = dirty_lake.sql("select user_id, valid_from from gold.user_levels").to_pylist()
    for row in dirty_lake.table("gold.users").arrow().to_pylist():
        trace = dirty_lake.trace("users", row["user_id"])
        history = [s for s in trace.row.sources if isinstance(s, Found)]
        begun = {s.row["event_at"] for s in history if "level" in s.note or s.note == "first seen"}
        assert begun == {start["valid_from"] for start in starts if start["user_id"] == row["user_id"]}
        (setting,) = below(trace.row, "set by")
        assert {name: setting.row[name] for name in trace.row.row} == dict(trace.row.row)


def test_the_tree_of_text_shows_what_it_finds_and_obeys_nothing(
    lake: Lakehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["trace", "songplays", str(linked(lake)), "--lake", lake.settings.lake]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    lines = out.splitlines()
    assert lines[0] == f"gold.songplays {linked(lake)} as of batch 3"
    assert lines[2].startswith("├─ made from: silver.events ")
    assert "│  ├─ winner · " in lines[4]
    assert any(line.startswith("└─ joined to: silver.songs SONG1") for line in lines)


def test_json_is_the_tree_and_csv_the_records(lake: Lakehouse, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["trace", "users", "7", "--lake", lake.settings.lake]
    capsys.readouterr()
    assert main([*words, "--format", "json"]) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (said["batch_id"], said["table"], said["key"]) == (3, "gold.users", "7")
    assert said["row"] == {"first_name": "Ada", "last_name": "Byron", "gender": "F", "level": "paid"}
    (record,) = said["sources"][0]["sources"]
    assert record["outcome"] == "winner"
    assert json.loads(record["raw"]) == NEW_LEVEL
    assert main([*words, "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_in_a_notebook_the_tree_is_escaped(lake: Lakehouse) -> None:
    trace: Trace = lake.trace("songplays", linked(lake))
    shown = trace._repr_html_()
    assert "&lt;b&gt;Bergen" in shown
    assert "<b>" not in shown
