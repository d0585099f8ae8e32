"""Logs that call their fields otherwise, and the JSONPaths file that says how."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import obstore
import pytest

from bronze.log_data import FIELDS
from lakehouse import Lakehouse
from runtime.cli import main
from runtime.engine import Engine
from runtime.errors import ConfigError
from runtime.sources.jsonpaths import renamed, renames_of
from tests.support.comparing import assert_same_tables
from tests.support.deliveries import Deliveries, event, play, song
from tests.support.s3_server import S3Server

OpenLake = Callable[..., Lakehouse]
# The file of the original bucket.
ORIGINAL = json.dumps({"jsonpaths": [f"$['{field}']" for field in FIELDS]})


def json_paths(**renamed: str) -> str:
    return json.dumps({"jsonpaths": [renamed.get(field, f"$['{field}']") for field in FIELDS]})


def test_the_original_file_renames_nothing() -> None:
    assert renames_of(ORIGINAL, FIELDS) == {}
    assert FIELDS[0] == "artist"
    assert FIELDS[-1] == "userId"


def test_paths_may_be_written_in_brackets_or_with_dots_and_lead_into_objects() -> None:
    found = renames_of(
        json_paths(artist="$.performer", song="$[\"track\"]['name']", ts="$.at.millis"), FIELDS
    )
    assert found == {"artist": ("performer",), "song": ("track", "name"), "ts": ("at", "millis")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", 'expected {"jsonpaths"'),
        ("{}", 'expected {"jsonpaths"'),
        ('{"jsonpaths": ["$.a"]}', "expected 18 paths, for artist, auth, .*; got 1"),
        (json_paths(artist="$[0]"), r"expected paths such as .*, got '\$\[0\]'"),
        (json_paths(artist="performer"), "expected paths such as"),
        (json_paths(artist="$"), "expected paths such as"),
    ],
)
def test_a_file_that_is_no_such_list_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        renames_of(text, FIELDS)


@pytest.mark.parametrize(
    ("record", "artist"),
    [
        ({"performer": "The Engine"}, "The Engine"),
        ({"performer": None, "artist": "of the old name"}, None),
        ({"artist": "of the old name"}, None),
        ({}, None),
        ({"performer": {"a": [1, "}"]}, "x": '\\"'}, {"a": [1, "}"]}),
    ],
)
def test_a_renamed_record_keeps_what_it_had(record: dict[str, Any], artist: object) -> None:
    made = renamed(f" {json.dumps(record)}\n", {"artist": ["performer"]})
    assert json.loads(made) == {**record, "artist": artist}
    assert made.startswith(json.dumps(record)[:-1])


def test_numbers_and_escapes_stay_as_they_were_written() -> None:
    made = renamed('{"n": 1.50e3, "t": "\\u00e9"}', {"length": ["n"], "song": ["t"]})
    assert made == '{"n": 1.50e3, "t": "\\u00e9", "length": 1.50e3, "song": "\\u00e9"}'


@pytest.mark.parametrize("record", ["{cut", "[]", "1", '{"a": 1} x', '{"a": 1}}', ""])
def test_what_is_no_object_is_left_to_be_rejected(record: str) -> None:
    assert renamed(record, {"artist": ["performer"]}) == record


@pytest.mark.engine
@pytest.mark.long_on_spark
def test_logs_with_other_names_give_the_same_tables(
    s3: S3Server, open_lake: OpenLake, engine: Engine, deliveries: Deliveries, tmp_path: Path
) -> None:
    records: list[dict[str, Any] | str] = [
        play(),
        play("2018-11-02 11:00:00", itemInSession=1, userId="8"),
        "{cut",
    ]
    others = [_otherwise(record) if isinstance(record, dict) else record for record in records]
    otherwise = Deliveries(tmp_path / "otherwise")
    for sources, delivered in ((deliveries, records), (otherwise, others)):
        sources.songs("a.json", [song()])
        sources.logs("a.json", delivered)
    paths = json_paths(artist="$['performer']", userId="$.user.id")
    obstore.put(s3.bucket("mapped"), "log_json_path.json", paths.encode())
    usual = open_lake("usual", deliveries)
    usual.run()
    lake = open_lake("mapped", otherwise, log_json_paths="s3://mapped/log_json_path.json")
    lake.run()
    derived = [name for name, table in lake.tables.items() if table.layer == "gold"]
    assert_same_tables(engine, lake, usual, derived)
    assert lake.status()["quarantine"] == usual.status()["quarantine"]
    obstore.delete(s3.bucket("mapped"), "log_json_path.json")  # a rebuild reads no sources
    assert lake.run(full_refresh=True).states[0].records == usual.run(full_refresh=True).states[0].records


@pytest.mark.engine
@pytest.mark.long_on_spark
def test_a_mapping_file_among_the_logs_is_not_read_as_one(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    deliveries.logs("a.json", [_otherwise(play())])
    paths = deliveries.log_data / "log_json_path.json"
    paths.write_text(json_paths(artist="$.performer", userId="$.user.id"))
    lake = open_lake("lake", deliveries, log_json_paths=paths)
    (state,) = lake.run().states
    assert (state.files["log_data"], state.records["accepted"]) == (1, 1)
    assert lake.sql("select user_id, artist from silver.events").to_pylist() == [
        {"user_id": 7, "artist": "The Engine"}
    ]
    assert lake.run().as_json() == {"new_files": 0, "batches": []}


@pytest.mark.engine
@pytest.mark.long_on_spark
def test_names_given_after_the_first_run_reach_known_files_when_they_are_taken_in_again(
    open_lake: OpenLake,
    engine: Engine,
    deliveries: Deliveries,
    tmp_path: Path,
) -> None:
    deliveries.logs("a.json", [_otherwise(event())])
    deliveries.logs("gone.json", [_otherwise(event(sessionId=2))])
    paths = tmp_path / "paths.json"
    paths.write_text(json_paths(artist="$.performer", userId="$.user.id"))
    open_lake("lake", deliveries).run()
    (deliveries.log_data / "gone.json").unlink()
    lake = open_lake("lake", deliveries, log_json_paths=paths)
    before = lake.run()
    assert before.as_json() == {"new_files": 0, "batches": []}
    told = "log_json_paths: of the known files of log_data, 1 came in under other names of fields"
    assert [note[: len(told)] for note in before.notes] == [told]
    assert lake.plan()["notes"] == before.notes
    (state,) = lake.run(again="log_data").states
    assert (state.files["log_data"], state.records["accepted"]) == (1, 1)
    found = lake.sql("select user_id, _delivery as d from silver.events order by session_id")
    assert found.to_pylist() == [{"user_id": 7, "d": 3}, {"user_id": None, "d": 2}]
    assert (lake.run().notes, lake.run().as_json()) == ([], {"new_files": 0, "batches": []})
    assert lake.verify().ok


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--again=log_dta"], "Did you mean log_data?"),
        (["--again=users"], "The sources given are: song_data, log_data."),
        (["--again=log_data", "--full-refresh"], "--again and --full-refresh"),
        (["--again=log_data", "--watch=1"], "--watch and --again"),
    ],
)
def test_files_are_taken_in_again_only_where_that_makes_sense(
    deliveries: Deliveries, tmp_path: Path, words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [f"--song-data={deliveries.song_data}", f"--log-data={deliveries.log_data}"]
    assert main(["run", *words, f"--lake={tmp_path / 'lake'}", *sources]) == 2
    assert why.lower() in capsys.readouterr().err.lower()


def _otherwise(record: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in record.items() if name not in ("artist", "userId")}
    return {**kept, "performer": record["artist"], "user": {"id": record["userId"]}}


def test_a_file_that_is_not_there_or_says_nothing_is_an_error_that_names_it(
    open_lake: OpenLake, deliveries: Deliveries, tmp_path: Path
) -> None:
    deliveries.logs("a.json", [play()])
    with pytest.raises(ConfigError, match=f"log_json_paths {tmp_path}/none.json: it cannot be read: No such"):
        open_lake("lake", deliveries, log_json_paths=tmp_path / "none.json").run()
    (tmp_path / "empty.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"log_json_paths .*empty.json: expected"):
        open_lake("lake", deliveries, log_json_paths=tmp_path / "empty.json").run()
