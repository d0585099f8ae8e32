"""Doctor tells what is wrong with machine or upkeep, and the command it names mends it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable

from lakehouse import Lakehouse
from runtime.cli import main
from runtime.upkeep import doctor, engines
from tests.support.deliveries import Deliveries, play, song

pytestmark = pytest.mark.process


@pytest.fixture
def lake(open_lake: Callable[..., Lakehouse], deliveries: Deliveries) -> Lakehouse:
    deliveries.songs("s.json", [song()])
    deliveries.logs("a.json", [play()])
    opened = open_lake("a", deliveries)
    opened.run()
    return opened


def ill(lake: Lakehouse) -> dict[str, tuple[str, str]]:
    """What needs mending: check → (found, command)."""
    return {f.check: (f.found, f.mend) for f in lake.doctor() if not f.is_well}


def test_a_healthy_lake_has_no_finding_and_every_library_reads_it(lake: Lakehouse) -> None:
    findings = {f.check: f for f in lake.doctor()}
    assert [f for f in findings.values() if not f.is_well] == []
    rows = sum(t["rows"] for t in lake.status()["tables"].values())
    for reader in ("delta-rs", "DuckDB", "Polars"):
        assert findings[f"read by {reader}"].found.endswith(f"tables, {rows:,} rows")
    assert {f"read by {engine}" for engine in ("Sail", "Spark")} & set(findings)


def test_what_a_stranger_wrote_is_found_and_optimize_takes_it_away(lake: Lakehouse) -> None:
    DeltaTable(f"{lake.settings.lake}/gold/users").delete("true")
    assert ill(lake)["tables"] == (
        "gold.users: written to since the last publish", "python lakehouse.py optimize"
    )  # fmt: skip
    lake.optimize()
    assert ill(lake) == {}


def test_rubbish_is_found_and_vacuum_removes_it(lake: Lakehouse) -> None:
    folder = Path(lake.settings.lake, "gold", "users")
    shutil.copy(next(folder.glob("*.parquet")), folder / "part-left-by-a-killed-run.parquet")
    assert ill(lake)["orphan files"] == ("1 that no batch reads", "python lakehouse.py vacuum")
    lake.vacuum()
    assert ill(lake) == {}


def test_lost_rows_are_found_by_every_reader(lake: Lakehouse) -> None:
    for file in Path(lake.settings.lake, "gold", "users").glob("*.parquet"):
        file.unlink()
    found = ill(lake)
    readers = [check for check in found if check.startswith("read by")]
    assert len(readers) >= 4
    assert all(found[reader][1] == "python lakehouse.py verify" for reader in readers)
    assert all(found[reader][0].startswith("gold.users: ") for reader in readers)


def test_many_small_files_are_found_and_optimize_merges_them(
    open_lake: Callable[..., Lakehouse], deliveries: Deliveries
) -> None:
    lake = open_lake("a", deliveries, compact_after=0)
    for number in range(3):
        deliveries.logs(f"{number}.json", [play(f"2018-11-02 10:0{number}:00", itemInSession=number)])
        lake.run()
    strict = open_lake("a", deliveries, compact_after=2)
    found, command = ill(strict)["small files"]
    assert "silver.events" in found
    assert command == "python lakehouse.py optimize"
    strict.optimize()
    assert ill(strict) == {}


def test_a_file_that_could_not_be_read_is_found(lake: Lakehouse) -> None:
    assert lake.settings.log_data is not None
    Path(lake.settings.log_data, "cut.json.gz").write_bytes(b"\x1f\x8b\x08\x00cut")
    lake.run()
    assert ill(lake)["source files"] == (
        "log_data/cut.json.gz: could not be read", "python lakehouse.py run --retry-bad"
    )  # fmt: skip


def test_a_table_that_may_forget_its_history_is_found_and_a_refresh_mends_it(lake: Lakehouse) -> None:
    table = DeltaTable(f"{lake.settings.lake}/gold/users")
    table.alter.set_table_properties({"delta.enableExpiredLogCleanup": "true"})
    assert "tables" in ill(lake)
    lake.optimize()  # what a stranger set is rolled back with what a stranger wrote
    assert ill(lake) == {}


def test_packages_of_another_version_are_found(lake: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "requires", lambda _: ["deltalake==0.1", "no-such-package"])
    found, command = ill(lake)["packages"]
    assert found.startswith("deltalake is ")
    assert found.endswith("not ==0.1; no-such-package is missing")
    assert command == "make setup"


def test_java_is_missed_only_by_the_engine_that_needs_it(
    lake: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "java_version", lambda: None)
    java = {
        e: next(engines.findings(lake.settings.model_copy(update={"engine": e}))) for e in ("sail", "spark")
    }
    assert java["sail"].is_well
    assert "apt-get install openjdk" in java["spark"].mend


def test_the_command_ends_with_1_when_something_is_to_mend(
    lake: Lakehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["doctor", "--lake", lake.settings.lake, "--format", "json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    DeltaTable(f"{lake.settings.lake}/gold/users").delete("true")
    assert main(words) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert [c["mend"] for c in told["checks"] if not c["ok"]] == ["python lakehouse.py optimize"]


def test_a_lake_that_is_not_there_yet_is_no_fault(tmp_path: Path) -> None:
    found = Lakehouse.open(lake=str(tmp_path / "none")).doctor()
    assert found[-1].check == "lake"
    assert found[-1].is_well
    assert not (tmp_path / "none").exists()
