"""Where a run's time goes: measured when asked for, complete, and kept with the batch."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakehouse import Lakehouse
from runtime.cli import main
from runtime.process import profiling
from runtime.process.cpu_time import age_of_process, cpu_seconds
from runtime.process.profiling import REST, START, Span, step
from tests.support.deliveries import Deliveries, play, song

pytestmark = pytest.mark.process

OpenLake = Callable[..., Lakehouse]
PART = {"table", "step", "times", "seconds", "cpu", "rows", "files", "bytes"}


@pytest.fixture
def delivered(deliveries: Deliveries) -> Deliveries:
    deliveries.songs("1.json", [song()])
    deliveries.logs("1.json", [play(), play("2018-11-02 11:00:00", itemInSession=1), "{cut"])
    return deliveries


def part(profile: dict[str, Any], table: str | None, name: str) -> dict[str, Any]:
    (found,) = [p for p in profile["parts"] if (p["table"], p["step"]) == (table, name)]
    return dict(found)


def kinds(lake: Lakehouse) -> set[str]:
    from deltalake import DeltaTable, QueryBuilder

    table = DeltaTable(f"{lake.settings.lake}/_ledger")
    rows = QueryBuilder().register("t", table).execute("select distinct kind from t").read_all()
    return {str(value) for value in rows["kind"].to_pylist()}


def test_the_parts_add_up_to_the_whole(open_lake: OpenLake, delivered: Deliveries) -> None:
    report = open_lake("lake", delivered).run(profile=True)
    assert report.profile is not None
    profile = report.profile.as_json()
    assert all(set(p) == PART for p in profile["parts"])
    assert sum(p["seconds"] for p in profile["parts"]) == pytest.approx(profile["seconds"], abs=0.05)
    assert sum(p["cpu"] for p in profile["parts"]) == pytest.approx(profile["cpu"], abs=0.1)
    assert part(profile, None, REST)["seconds"] < 0.2 * profile["seconds"]


def test_a_profile_tells_what_each_table_wrote(open_lake: OpenLake, delivered: Deliveries) -> None:
    lake = open_lake("lake", delivered)
    lake.run(profile=True)
    (profile,) = lake.profiles()
    tables = lake.status()["tables"]
    written = {p["table"]: p for p in profile["parts"] if p["step"] in ("append", "merge")}
    assert {n: (p["rows"], p["files"], p["bytes"]) for n, p in written.items()} == {
        name: (table["rows"], table["files"], table["bytes"]) for name, table in tables.items()
    }
    log = part(profile, None, "inspect files")
    sources = [f for root in (delivered.song_data, delivered.log_data) for f in root.rglob("*.json")]
    assert (log["files"], log["bytes"]) == (len(sources), sum(f.stat().st_size for f in sources))


def test_a_run_keeps_its_profile_with_its_last_batch(open_lake: OpenLake, delivered: Deliveries) -> None:
    lake = open_lake("lake", delivered)
    assert lake.profiles() == []
    lake.run(profile=True)
    delivered.logs("2.json", [play("2018-11-03 10:00:00", sessionId=2)])
    report = lake.run(profile=True)
    assert [p["batch_id"] for p in lake.profiles()] == [1, 2]
    assert report.profile is not None
    kept, told = lake.profiles()[-1], report.profile.as_json()
    steps = [(p["table"], p["step"]) for p in told["parts"]]
    # What comes after the profile is kept cannot be in what is kept.
    assert [(p["table"], p["step"]) for p in kept["parts"]] == [
        s for s in steps if s != (None, "release the lease")
    ]


def test_a_run_without_a_profile_measures_and_keeps_nothing(
    open_lake: OpenLake, delivered: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(*_: object) -> float:
        raise AssertionError("measured, though nobody asked")

    monkeypatch.setattr(profiling, "cpu_seconds", measure)
    lake = open_lake("lake", delivered)
    report = lake.run()
    assert report.profile is None
    assert "profile" not in report.as_json()
    assert lake.profiles() == []
    assert kinds(lake) == {"delivery", "state"}


def test_nothing_new_is_told_and_not_kept(open_lake: OpenLake, delivered: Deliveries) -> None:
    lake = open_lake("lake", delivered)
    lake.run()
    report = lake.run(profile=True)
    assert report.profile is not None
    assert part(report.profile.as_json(), None, "list sources")["times"] == 1
    assert lake.profiles() == []


def test_a_full_refresh_can_be_profiled_too(open_lake: OpenLake, delivered: Deliveries) -> None:
    lake = open_lake("lake", delivered)
    lake.run()
    lake.run(full_refresh=True, profile=True)
    (profile,) = lake.profiles()
    assert profile["batch_id"] == 2
    assert part(profile, "silver.events", "append")["rows"] == 2


def test_the_command_line_tells_a_profile_on_stderr_and_in_json_and_history_shows_it(
    open_lake: OpenLake, delivered: Deliveries, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = open_lake("lake", delivered)
    words = [f"--lake={lake.settings.lake}", f"--engine={lake.settings.engine}"]
    sources = [f"--song-data={delivered.song_data}", f"--log-data={delivered.log_data}"]
    assert main(["run", "--profile", "--format=json", *words, *sources]) == 0
    told = capsys.readouterr()
    profile = json.loads(told.out)["profile"]
    assert part(profile, None, START)["seconds"] > 0
    delivered.logs("2.json", [play("2018-11-03 10:00:00", sessionId=2)])
    assert main(["run", "--profile", *words, *sources]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("batch 2: ")
    assert len(told.out.splitlines()) == 1
    lines = told.err.splitlines()
    assert any(line.split()[:2] == ["gold.users", "plan"] for line in lines)
    assert any("in all" in line for line in lines)
    assert main(["history", "silver.events", "--profile", "--format=json", *words]) == 0
    kept = json.loads(capsys.readouterr().out)
    assert [run["batch_id"] for run in kept] == [1, 2]
    assert {p["table"] for run in kept for p in run["parts"]} == {"silver.events"}
    assert main(["history", "--profile", *words]) == 0
    header, _, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == [
        "batch_id",
        "table",
        "step",
        "times",
        "seconds",
        "cpu",
        "rows",
        "files",
        "bytes",
    ]
    assert len(rows) == sum(len(run["parts"]) for run in lake.profiles())


def test_a_moment_counts_once_for_the_innermost_step(monkeypatch: pytest.MonkeyPatch) -> None:
    now = Span()
    monkeypatch.setattr(Span, "now", lambda: now)

    def work(seconds: float) -> None:
        nonlocal now
        now += Span(seconds, seconds / 2)

    @step("inner")
    def inner() -> None:
        work(4)

    @step("outer")
    def outer() -> None:
        inner()
        work(1)
        inner()

    with profiling.taken() as profile:
        assert profile is not None
        work(16)
        with profiling.of("gold.users", "plan"):
            work(32)
            outer()
    found = {
        (p["table"], p["step"]): (p["times"], p["seconds"], p["cpu"]) for p in profile.as_json()["parts"]
    }
    assert found == {
        ("gold.users", "plan"): (1, 32, 16),
        ("gold.users", "outer"): (1, 1, 0.5),
        ("gold.users", "inner"): (2, 8, 4),
        (None, REST): (1, 16, 8),
    }


def test_a_step_that_fails_is_measured_and_a_profile_ends_with_its_block() -> None:
    @step("failing")
    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError), profiling.taken() as profile:  # noqa: PT011
        fail()
    assert profile is not None
    assert profiling.current() is None
    before = profile.as_json()
    assert part(before, None, "failing")["times"] == 1
    assert profile.as_json() == before


def test_processor_time_counts_a_process_that_is_still_running() -> None:
    before = cpu_seconds()
    busy = subprocess.Popen(["python3", "-c", "while True: pass"])
    try:
        deadline = time.monotonic() + 30
        while cpu_seconds() - before < 1 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert cpu_seconds() - before >= 1
    finally:
        busy.kill()
        busy.wait()


def test_a_process_is_as_old_as_the_machine_says() -> None:
    first = age_of_process()
    time.sleep(0.1)
    assert age_of_process() - first >= 0.1
    assert Path("/proc/self").exists() is False or first > 0.1
