"""What a source holds besides the records that are taken in: counted, named, and never silent."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from runtime.cli import main
from runtime.engine import Engine
from tests.support.comparing import rows
from tests.support.deliveries import Deliveries, event, play, song

pytestmark = [pytest.mark.engine, pytest.mark.long_on_spark]
OpenLake = Callable[..., Lakehouse]
LEFT_OUT = "log_data: 2 files are left out, 2018-11-08-events among them."


def command(lake: Lakehouse, *words: str) -> int:
    sources = [f"--song-data={lake.settings.song_data}", f"--log-data={lake.settings.log_data}"]
    return main([*words, f"--lake={lake.settings.lake}", f"--engine={lake.settings.engine}", *sources])


def test_files_of_other_names_are_read_or_counted_with_an_example(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["1.json", "2.jsonl", "3.JSON", "4.json.GZ", "5.ndjson", "6.log", "2018-11-08-events", "x.csv"]
    for number, name in enumerate(names):
        deliveries.logs(name, [event(sessionId=number)])
    lake = open_lake("lake", deliveries)
    assert command(lake, "plan", "-v") == 0
    assert LEFT_OUT in capsys.readouterr().out
    assert command(lake, "run") == 0
    assert LEFT_OUT in capsys.readouterr().err
    assert len(rows(lake, "from silver.events")) == 6
    assert command(lake, "status") == 0
    assert LEFT_OUT in capsys.readouterr().out
    assert command(lake, "run", "--format=json") == 0
    again = capsys.readouterr()
    assert json.loads(again.out) == {"new_files": 0, "batches": []}
    assert LEFT_OUT in again.err
    found = {finding.check: finding for finding in lake.doctor()}["file names"]
    assert (LEFT_OUT in found.found, found.mend) == (True, "")


def test_a_source_that_holds_other_names_only_says_so(
    open_lake: OpenLake, engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = Deliveries(tmp_path / "other")
    sources.logs("day.txt", [event()])
    assert command(open_lake("empty", sources), "run") == 0
    ended = capsys.readouterr()
    assert "there are no files to read" in ended.out
    assert "log_data: 1 file is left out: day.txt." in ended.err


def test_a_source_of_which_every_record_is_rejected_ends_the_run_with_1(
    open_lake: OpenLake, engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Songs given as logs, and logs as songs; then the right way round."""
    sources, swapped = Deliveries(tmp_path / "right"), Deliveries(tmp_path / "swapped")
    for kind, records in (("songs", [song(), song(song_id="S2")]), ("logs", [play()])):
        getattr(sources, kind)("a.json", records)
    swapped.songs("a.json", [play()])
    swapped.logs("a.json", [song(), song(song_id="S2")])
    assert command(open_lake("lake", swapped), "run") == 1
    told = capsys.readouterr().err
    assert "error: log_data: every one of the 2 records of this run is in quarantine" in told
    assert "error: song_data: the only record of this run is in quarantine" in told
    assert command(open_lake("lake", sources), "run") == 0


def test_bytes_behind_gzip_data_and_an_object_around_records_are_told(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = gzip.compress(json.dumps(event()).encode()) + b"rubbish"
    (deliveries.log_data / "a.json.gz").write_bytes(packed)
    deliveries.logs("b.json", [json.dumps({"events": [event(sessionId=2)]})])
    assert command(open_lake("lake", deliveries), "run") == 0
    told = capsys.readouterr().err
    assert "a.json.gz: 7 bytes behind the end of its compressed data were passed over." in told
    assert "b.json: it is one object whose 'events' holds the records" in told
    assert command(open_lake("lake", deliveries), "run") == 0
    assert "passed over" not in capsys.readouterr().err
