"""What was rejected: by reason, and record by record with where it came from."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakehouse import Lakehouse
from runtime.cli import main
from runtime.cli.quarantine import LONGEST, ranges
from runtime.errors import UsageError
from tests.support.deliveries import Deliveries, event, play, song

pytestmark = pytest.mark.process

OpenLake = Callable[..., Lakehouse]
Shown = Callable[..., str]


@pytest.fixture
def lake(open_lake: OpenLake, deliveries: Deliveries) -> Lakehouse:
    """Two batches: in the first a log and a song are rejected, in the second a log, for two reasons."""
    deliveries.logs("1.json", [play(), play(level="gold"), "not json \x1b[31m"])
    deliveries.songs("1.json", [song(title="")])
    lake = open_lake("lake", deliveries)
    lake.run()
    deliveries.logs("2.json", [event(level="gold", status="ok")])
    lake.run()
    return lake


@pytest.fixture
def shown(lake: Lakehouse, capsys: pytest.CaptureFixture[str]) -> Shown:
    """What `quarantine …` writes to stdout for this lake."""

    def shown(*words: str) -> str:
        capsys.readouterr()
        assert main(["quarantine", *words, f"--lake={lake.settings.lake}"]) == 0
        return capsys.readouterr().out

    return shown


def test_the_list_counts_records_by_reason_with_their_sources_and_batches(lake: Lakehouse) -> None:
    at = [state["at"] for state in lake.history()]
    told = [
        (r["reason"], r["records"], r["sources"], r["batches"], r["first"].isoformat(), r["last"].isoformat())
        for r in lake.quarantine.reasons()
    ]
    assert told == [
        ("level_is_known", 2, ["log_data"], [1, 2], at[0], at[1]),
        ("record_is_json_object", 1, ["log_data"], [1], at[0], at[0]),
        ("status_is_integer", 1, ["log_data"], [2], at[1], at[1]),
        ("title_is_present", 1, ["song_data"], [1], at[0], at[0]),
    ]
    assert lake.status()["quarantine"] == {r["reason"]: r["records"] for r in lake.quarantine.reasons()}


def test_records_are_shown_as_delivered_with_file_line_and_every_reason(
    lake: Lakehouse, deliveries: Deliveries
) -> None:
    (record,) = lake.quarantine.records("status_is_integer")
    assert record == {
        "source": "log_data",
        "file": str(deliveries.log_data / "2.json"),
        "line": 1,
        "batch_id": 2,
        "reasons": ["level_is_known", "status_is_integer"],
        "raw": json.dumps(event(level="gold", status="ok")),
    }


def test_records_are_chosen_by_reason_batch_and_number(lake: Lakehouse) -> None:
    def lines(*reasons: str, **options: int) -> list[tuple[str, int]]:
        return [(Path(r["file"]).name, r["line"]) for r in lake.quarantine.records(*reasons, **options)]

    assert lines() == [("1.json", 1), ("1.json", 2), ("1.json", 3), ("2.json", 1)]
    assert lines("level_is_known") == [("1.json", 2), ("2.json", 1)]
    assert lines("title_is_present", "status_is_integer") == [("1.json", 1), ("2.json", 1)]
    assert lines(batch=2) == [("2.json", 1)]
    assert lines("level_is_known", batch=1) == [("1.json", 2)]
    assert lines(limit=2) == [("1.json", 1), ("1.json", 2)]
    assert lines("length_is_positive") == []


def test_an_unknown_reason_is_an_error_that_names_the_nearest(lake: Lakehouse) -> None:
    with pytest.raises(UsageError, match="did you mean level_is_known"):
        lake.quarantine.records("level_is_know")


def test_the_command_line_tells_it_as_table_json_and_csv(shown: Shown) -> None:
    first = shown("list").splitlines()[2].split()
    assert first[:5] == ["level_is_known", "2", "log_data", "1-2", first[4]]
    assert json.loads(shown("list", "--format=json"))[0]["reason"] == "level_is_known"
    (header, row) = csv.reader(io.StringIO(shown("show", "title_is_present", "--format=csv")))
    assert header == ["source", "file", "line", "batch_id", "reasons", "raw"]
    assert json.loads(row[5]) == song(title="")


def test_a_record_that_a_terminal_would_obey_is_spelled_out(shown: Shown) -> None:
    told = shown("show", "record_is_json_object")
    assert "\x1b" not in told
    assert "  not json \\x1b[31m\n" in told
    assert ":3  batch 1  record_is_json_object\n" in told


def test_a_long_record_is_cut_for_a_person_and_whole_as_data(
    open_lake: OpenLake, deliveries: Deliveries, capsys: pytest.CaptureFixture[str]
) -> None:
    deliveries.logs("1.json", ["x" * 10_000])
    lake = open_lake("long", deliveries)
    lake.run()
    words = ["quarantine", "show", f"--lake={lake.settings.lake}"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert f"{'x' * LONGEST} … and 8,000 characters" in told
    assert main([*words, "--format=json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["raw"] == "x" * 10_000


def test_only_so_many_records_are_shown_and_the_rest_is_told_of(
    lake: Lakehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["quarantine", "show", "--limit=1", f"--lake={lake.settings.lake}", "--format=json"]) == 0
    ended = capsys.readouterr()
    assert len(json.loads(ended.out)) == 1
    assert "--limit shows more" in ended.err


def test_an_empty_quarantine_says_so(
    open_lake: OpenLake, deliveries: Deliveries, capsys: pytest.CaptureFixture[str]
) -> None:
    deliveries.logs("1.json", [play()])
    lake = open_lake("clean", deliveries)
    lake.run()
    capsys.readouterr()
    assert main(["quarantine", "list", f"--lake={lake.settings.lake}"]) == 0
    assert capsys.readouterr().out == "The quarantine is empty.\n"
    assert lake.quarantine.records() == []


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([4], "4"), ([1, 2], "1-2"), ([1, 3, 4, 5, 9], "1, 3-5, 9")]
)
def test_neighbouring_batches_are_put_together(numbers: list[Any], text: str) -> None:
    assert ranges(numbers) == text


def test_a_wrong_verb_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quarantine", "lst"]) == 2
    assert "did you mean 'list'?" in capsys.readouterr().err
