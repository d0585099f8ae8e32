"""Sail ends a session after a time without requests: the next use starts another one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tests.support.deliveries import Deliveries, play

pytestmark = [pytest.mark.process, pytest.mark.long]

TIMEOUT = "SAIL_SPARK__SESSION_TIMEOUT_SECS"
BRIEF = {**os.environ, TIMEOUT: "4"}
USED = """
import sys, time
from pathlib import Path
from lakehouse import Lakehouse

lake = Lakehouse.open(lake=sys.argv[1], log_data=sys.argv[2], song_data=sys.argv[4])
print(len(lake.run().states))
Path(sys.argv[3]).rename(Path(sys.argv[2]) / "2.json")
time.sleep(5)
print(len(lake.run().states))
time.sleep(5)
print(lake.table("gold.songplays").spark().count())
"""
DEFAULT = """
import os
from runtime import engine
engine.start("sail", confs={}, partitions=1)
print(os.environ["SAIL_SPARK__SESSION_TIMEOUT_SECS"])
"""


def test_a_program_that_pauses_for_longer_than_a_session_lasts_goes_on(
    deliveries: Deliveries, tmp_path: Path
) -> None:
    deliveries.logs("1.json", [play()])
    late = deliveries.logs("late/2.json", [play(sessionId=2)]).rename(tmp_path / "2.json")
    words = [str(tmp_path / "lake"), str(deliveries.log_data), str(late), str(deliveries.song_data)]
    ended = subprocess.run(
        [sys.executable, "-c", USED, *words], cwd=ROOT, env=BRIEF, capture_output=True, text=True, timeout=120
    )
    assert (ended.stdout, ended.returncode) == ("1\n1\n2\n", 0), ended.stderr


def test_a_watch_whose_pause_is_longer_than_a_session_goes_on(deliveries: Deliveries, tmp_path: Path) -> None:
    deliveries.logs("1.json", [play()])
    sources = [f"--song-data={deliveries.song_data}", f"--log-data={deliveries.log_data}"]
    words = [f"--lake={tmp_path / 'lake'}", *sources, "--format=json", "--quiet"]
    watch = subprocess.Popen(
        [sys.executable, "lakehouse.py", "run", "--watch=5", *words],
        cwd=ROOT, env=BRIEF, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert watch.stdout is not None
    assert [b["batch_id"] for b in json.loads(watch.stdout.readline())["batches"]] == [1]
    assert json.loads(watch.stdout.readline())["batches"] == []  # longer than a session ago
    deliveries.logs("2.json", [play(sessionId=2)])
    batches: list[int] = []
    while not batches:
        batches = [b["batch_id"] for b in json.loads(watch.stdout.readline())["batches"]]
    assert batches == [2]
    watch.send_signal(signal.SIGTERM)
    assert (watch.wait(timeout=60), watch.communicate()[1]) == (
        143,
        "terminated: the lake stays as last published.\n",
    )


def test_a_session_lasts_for_a_year_unless_the_user_says_otherwise() -> None:
    unset = {name: value for name, value in os.environ.items() if name != TIMEOUT}
    for given, lasts in ((unset, 365 * 24 * 3600), (BRIEF, 4)):
        ended = subprocess.run(
            [sys.executable, "-c", DEFAULT], cwd=ROOT, env=given, capture_output=True, text=True, check=True
        )
        assert ended.stdout == f"{lasts}\n"
