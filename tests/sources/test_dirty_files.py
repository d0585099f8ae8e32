"""What docs/input.md says of bad files: each is reported and remembered, and no good one suffers."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lakehouse import Lakehouse
from tests.support.checkout import ROOT
from tests.support.comparing import digests
from tests.support.deliveries import Deliveries, event, song
from tests.support.dirty_files import FILES, MAX_UNPACKED, BadFile

pytestmark = pytest.mark.process

# To the user root nothing is unreadable, unless two capabilities are given up for good.
UNPRIVILEGED = """
import ctypes, os, sys
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, PR_CAPBSET_DROP = 1, 2, 24
if os.geteuid() == 0:
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        assert ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
# The most memory that a command line held, in kilobytes.
MEASURED = """
import re, sys
from pathlib import Path
from runtime.cli import main
main(sys.argv[1:])
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
print(peak, file=sys.stderr)
"""


@dataclass(frozen=True)
class Delivered:
    """A lake that has taken in a folder of each kind, with a good file of each source beside them."""

    sources: Deliveries
    lake: Path
    ended: subprocess.CompletedProcess[str]

    def folder(self, case: BadFile) -> Path:
        return self.sources.log_data / str(FILES.index(case))


def options_of(sources: Deliveries) -> list[str]:
    return [f"--song-data={sources.song_data}", f"--log-data={sources.log_data}"]


def command(lake: Path, sources: Deliveries, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """A command line in a process that file rights hold for."""
    line = [sys.executable, "-c", UNPRIVILEGED, str(ROOT / "lakehouse.py"), *words, f"--lake={lake}"]
    return subprocess.run(
        [*line, *options_of(sources), f"--set=max_unpacked_bytes={MAX_UNPACKED}"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    tmp_path = tmp_path_factory.mktemp("files")
    sources = Deliveries(tmp_path / "sources")
    sources.logs("good.json", [event(sessionId=1000)])
    sources.songs("good.json", [song()])
    for number, case in enumerate(FILES):
        folder = sources.log_data / str(number)
        folder.mkdir()
        case.put(folder, json.dumps(event(sessionId=number)).encode())
    ended = command(tmp_path / "lake", sources, ["run", "--format=json"])
    return Delivered(sources, tmp_path / "lake", ended)


def sessions(lake: Path) -> list[int]:
    rows = Lakehouse.open(lake=str(lake)).sql("select session_id from silver.events order by session_id")
    return [row["session_id"] for row in rows.to_pylist()]


@pytest.mark.parametrize("case", FILES, ids=[case.what for case in FILES])
def test_a_bad_file_has_the_outcome_the_documentation_gives(delivered: Delivered, case: BadFile) -> None:
    report: dict[str, Any] = json.loads(delivered.ended.stdout)
    prefix = f"{delivered.folder(case)}/"
    below = {f["path"]: f["error"] for f in report["failed_files"] if f["path"].startswith(prefix)}
    closed = {f"{prefix}closed": f"{prefix}closed/"}
    failed = {closed.get(path, path).removeprefix(prefix): error for path, error in below.items()}
    assert failed == case.failed
    assert sessions(delivered.lake).count(FILES.index(case)) == case.is_kept


def test_bad_files_stop_no_good_ones_and_end_the_run_with_1(delivered: Delivered) -> None:
    assert delivered.ended.returncode == 1
    kept = [number for number, case in enumerate(FILES) if case.is_kept]
    assert sessions(delivered.lake) == [*kept, 1000]


def test_bad_files_are_remembered_and_do_not_make_the_next_run_one(delivered: Delivered) -> None:
    before = digests(delivered.lake)
    again = command(delivered.lake, delivered.sources, ["run", "--format=json"])
    assert (again.returncode, json.loads(again.stdout)) == (0, {"new_files": 0, "batches": []})
    assert digests(delivered.lake) == before
    shown = command(delivered.lake, delivered.sources, ["status"]).stdout
    assert all(f"{FILES.index(c)}/{path}" in shown for c in FILES for path in c.failed)


def test_to_fail_fast_takes_nothing_in(delivered: Delivered, tmp_path: Path) -> None:
    ended = command(tmp_path / "lake", delivered.sources, ["run", "--fail-fast"])
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "Nothing was taken in, because of --fail-fast." in ended.stderr
    assert "holds no published batch" in command(tmp_path / "lake", delivered.sources, ["status"]).stderr


def test_a_mended_file_is_taken_in_and_one_that_may_now_be_read_on_retry(tmp_path: Path) -> None:
    sources, lake = Deliveries(tmp_path / "sources"), tmp_path / "lake"
    packed, closed = sources.log_data / "a.json.gz", sources.logs("b.json", [event(sessionId=2)])
    packed.write_bytes(gzip.compress(json.dumps(event(sessionId=1)).encode())[:-10])
    closed.chmod(0)
    assert command(lake, sources, ["run"]).returncode == 1
    packed.write_bytes(gzip.compress(json.dumps(event(sessionId=1)).encode()))
    closed.chmod(0o644)
    assert command(lake, sources, ["run", "--retry-bad"]).returncode == 0
    assert sessions(lake) == [1, 2]


@pytest.mark.slow
def test_a_bomb_of_20_gigabytes_takes_bounded_memory(tmp_path: Path) -> None:
    sources = Deliveries(tmp_path / "sources")
    gigabyte = gzip.compress(bytes(1 << 30), compresslevel=1)
    (sources.log_data / "a.json.gz").write_bytes(gigabyte * 20)
    line = [sys.executable, "-c", MEASURED, "plan", f"--lake={tmp_path / 'lake'}", *options_of(sources)]
    ended = subprocess.run(line, capture_output=True, text=True, check=True, cwd=ROOT)
    assert "it unpacks to more than 2147483648 bytes" in ended.stdout
    assert int(ended.stderr) < 400_000
