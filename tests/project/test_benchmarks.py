"""The benchmarks compare like with like: every peer gives the lake's rows before it is timed."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable

from benchmarks.__main__ import measured
from benchmarks.answers import differences
from benchmarks.cases import Workspace, first_loads, one_more_day, timed
from benchmarks.data import sources
from benchmarks.processes import Failed, run

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """All first loads of a small sample."""
    folder = tmp_path_factory.mktemp("bench")
    made = Workspace(folder / "work", sources(folder, 3_000, songs=300, days=5))
    timed(first_loads(made, spark=False), 1)
    return made


def test_every_peer_ends_with_the_rows_of_the_lake_also_after_one_more_day(at: Workspace) -> None:
    for peer in ("duckdb_recompute", "polars_merge"):
        assert differences(at.out("lake on sail"), at.out(peer)) == {}, peer
    timed(one_more_day(at, spark=False), 1)
    later = at.out("lake on sail later")
    assert differences(later, at.out("polars_merge later")) == {}
    assert differences(later, at.out("duckdb_recompute")) == {}


def test_other_rows_are_told_apart(at: Workspace) -> None:
    users = DeltaTable(f"{at.out('polars_merge')}/users")
    found = (
        duckdb.connect().execute("select min(user_id) from read_parquet($1)", [users.file_uris()]).fetchone()
    )
    assert found is not None
    users.delete(f"user_id = {found[0]}")
    assert differences(at.out("lake on sail"), at.out("polars_merge")) == {"users": 1}


@pytest.mark.slow
def test_the_pyspark_peers_end_with_the_rows_of_the_lake(tmp_path: Path) -> None:
    found = measured(tmp_path, 3_000, 1, spark=True)
    assert found["differences"] == {
        "duckdb_recompute": {}, "polars_merge": {}, "tuned_pyspark": {}, "usual_pyspark": {}
    }  # fmt: skip


def test_a_command_that_fails_is_not_timed() -> None:
    with pytest.raises(Failed, match="no such thing"):
        run(["sh", "-c", "echo no such thing; exit 3"])


def test_the_time_of_a_process_that_outlives_its_parent_counts() -> None:
    busy = "import time; end = time.time() + 1.5\nwhile time.time() < end: pass"
    parent = (
        f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {busy!r}]); time.sleep(1)"
    )
    assert run([sys.executable, "-c", parent]).cpu > 0.25
