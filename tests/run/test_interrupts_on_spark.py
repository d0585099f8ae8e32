"""A signal to end a run on Spark: one line, the code of the signal, and no Java left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

CHILDREN = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")

pytestmark = [
    pytest.mark.engine,
    pytest.mark.spark_only,
    pytest.mark.skipif(not CHILDREN.exists(), reason="finds the children of a process in Linux's /proc"),
    pytest.mark.long,
]


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A shell that starts the tests in the background has them, and what they start, ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("moment", "number", "code", "how"),
    [
        ("java starts", signal.SIGINT, 130, "interrupted"),
        ("java starts", signal.SIGTERM, 143, "terminated"),
        ("a batch goes on", signal.SIGINT, 130, "interrupted"),
    ],
)
def test_a_run_that_is_stopped_says_so_in_a_line_and_takes_java_with_it(
    moment: str, number: signal.Signals, code: int, how: str, dirty_sample: Path, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    command = [sys.executable, "lakehouse.py", "run", "--engine", "spark", "--quiet", "--lake", str(lake)]
    sources = [f"--song-data={dirty_sample / 'song_data'}", f"--log-data={dirty_sample / 'log_data'}"]
    run = subprocess.Popen([*command, *sources], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    until(lambda: gateways(run.pid))
    (java,) = gateways(run.pid)
    until(lambda: moment == "java starts" or list(lake.glob("bronze/song_data/*.parquet")))
    run.send_signal(number)
    _, said = run.communicate(timeout=60)
    told = [line for line in said.splitlines() if "incubator modules" not in line]
    assert (run.returncode, told) == (code, [f"{how}: the lake stays as last published."])
    until(lambda: not is_alive(java))


def until(is_so: Callable[[], object], seconds: float = 60) -> None:
    """Wait for it. Raises AssertionError after so long."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gateways(process: int) -> list[str]:
    """The Javas that it started as Spark's driver."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [child for child in children if "pyspark-shell" in told_by(f"/proc/{child}/cmdline")]


def is_alive(process: str) -> bool:
    """Whether it runs; one that has ended may wait for its parent to notice."""
    state = told_by(f"/proc/{process}/stat").rpartition(")")[2].split()
    return bool(state) and state[0] != "Z"


def told_by(path: str) -> str:
    """The text of a file of /proc; none once its process has gone."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""
