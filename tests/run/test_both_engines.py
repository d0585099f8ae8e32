"""Sail and Spark give the same tables, and batches of one lake may alternate between them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from runtime.engine import Engine
from tests.support.checkout import ROOT
from tests.support.comparing import DERIVED, assert_same_tables
from tests.support.deliveries import Deliveries

pytestmark = [pytest.mark.engine, pytest.mark.spark_only]


def run_on_sail(lake: Path, sources: Deliveries) -> None:
    """A run in a process of its own: one process has one engine."""
    command = [
        sys.executable, ROOT / "lakehouse.py", "run", "--engine", "sail", "--lake", lake,
        "--song-data", sources.song_data, "--log-data", sources.log_data,
    ]  # fmt: skip
    subprocess.run([str(part) for part in command], check=True, cwd=lake.parent, capture_output=True)


@pytest.mark.essential
def test_batches_on_sail_spark_and_sail_equal_one_batch_on_spark(
    open_lake: Callable[..., Lakehouse],
    engine: Engine,
    dirty_sample: Path,
    dirty_lake: Lakehouse,
    deliveries: Deliveries,
    tmp_path: Path,
) -> None:
    files = sorted(f for s in ("song_data", "log_data") for f in (dirty_sample / s).rglob("*.json"))
    third = len(files) // 3
    lake = open_lake("alternating", deliveries)
    for number, part in enumerate((files[:third], files[third : 2 * third], files[2 * third :])):
        for file in part:
            target = deliveries.song_data.parent / file.relative_to(dirty_sample)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
        if number == 1:
            lake.run()
        else:
            run_on_sail(tmp_path / "alternating", deliveries)
    assert [state["engine"] for state in lake.history()] == ["sail", "spark", "sail"]
    assert_same_tables(engine, lake, dirty_lake, DERIVED)
