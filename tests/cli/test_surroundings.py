"""A process may be started without streams, in a locale of ASCII, or by a user who may not write."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from tests.support.checkout import ROOT
from tests.support.deliveries import Deliveries, play, song

pytestmark = pytest.mark.process

# Root may write everywhere, unless it gives these rights away.
RIGHTS = "-dac_override,-dac_read_search,-fowner"
AS_ANYBODY = ["setpriv", f"--bounding-set={RIGHTS}", f"--inh-caps={RIGHTS}"] if os.geteuid() == 0 else []


@pytest.fixture
def places(deliveries: Deliveries, tmp_path: Path) -> list[str]:
    """A lake that is not there yet, and its sources."""
    deliveries.songs("1.json", [song()])
    deliveries.logs("1.json", [play(firstName="Łucja")])
    sources = [f"--song-data={deliveries.song_data}", f"--log-data={deliveries.log_data}"]
    return [f"--lake={tmp_path / 'lake'}", *sources]


def ended(
    *words: str,
    streams: str = "",
    before: list[str] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command, streams closed or redirected as a shell does it."""
    command = shlex.join([*(before or []), sys.executable, "lakehouse.py", *words])
    return subprocess.run(
        ["sh", "-c", f"exec {command} {streams}"], cwd=ROOT, env=environment, capture_output=True
    )


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_without_a_stream_a_run_publishes_and_other_commands_answer(places: list[str], streams: str) -> None:
    assert ended("run", *places, streams=streams).returncode == 0
    said = ended("history", places[0], "--format=json", streams=streams)
    assert (said.returncode, b"Traceback" in said.stderr) == (0, False)
    if ">&-" not in streams.split():
        assert len(json.loads(said.stdout)) == 1
    assert ended("restore", places[0], "--batch=1", streams=streams).returncode == 0


def test_in_a_locale_of_ascii_every_text_can_be_printed(places: list[str]) -> None:
    ascii_alone = {**os.environ, "LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert ended("run", *places, environment=ascii_alone).returncode == 0
    for words in (["status"], ["trace", "users", "7"], ["query", "select first_name from gold.users"]):
        said = ended(*words, places[0], environment=ascii_alone)
        assert (said.returncode, b"error" in said.stderr) == (0, False)
        assert said.stdout.isascii()
    assert rb"\u0141ucja" in said.stdout


def test_a_statement_that_is_no_text_is_refused(places: list[str]) -> None:
    ended("run", *places)
    said = subprocess.run(
        [sys.executable, "lakehouse.py", "query", places[0], b"select '\xe9'"], cwd=ROOT, capture_output=True
    )
    assert (said.returncode, said.stdout) == (2, b"")
    assert b"bytes that are not UTF-8" in said.stderr


def test_a_lake_one_may_not_write_to_is_named_and_can_be_read(
    places: list[str], tmp_path: Path, deliveries: Deliveries
) -> None:
    assert ended("run", *places).returncode == 0
    before = Lakehouse.open(lake=str(tmp_path / "lake")).status()
    deliveries.logs("2.json", [play(sessionId=2)])
    folders = [path for path in (tmp_path / "lake", *(tmp_path / "lake").rglob("*")) if path.is_dir()]
    try:
        for folder in folders:
            folder.chmod(0o555)
        for words in (["run", *places], ["optimize", places[0]], ["verify", places[0]]):
            said = ended(*words, before=AS_ANYBODY)
            assert (said.returncode, b"this user may not write there" in said.stderr) == (2, True), (
                said.stderr
            )
            assert b"DAMAGED" not in said.stdout
        assert said.stdout.count(b"\nok  ") == 8, said.stdout  # verify answers what needs no room to write
        assert b"unknown  rebuild     not compared with a rebuild" in said.stdout
        assert ended("query", places[0], "from gold.users", before=AS_ANYBODY).returncode == 0
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert Lakehouse.open(lake=str(tmp_path / "lake")).status() == before


def test_work_on_disk_alone_does_not_mind_a_broken_profile(places: list[str], tmp_path: Path) -> None:
    (tmp_path / "config").write_text("no AWS file")
    broken = {"AWS_CONFIG_FILE": str(tmp_path / "config")}
    for words in (
        ["run", *places],
        ["plan", *places],
        ["status", places[0]],
        ["query", places[0], "select 1"],
    ):
        assert ended(*words, environment={**os.environ, **broken}).returncode == 0, words


def test_a_lake_is_as_closed_to_other_users_as_the_umask_says(places: list[str], tmp_path: Path) -> None:
    command = shlex.join([sys.executable, "lakehouse.py", "run", *places])
    subprocess.run(["sh", "-c", f"umask 077; exec {command}"], cwd=ROOT, check=True)
    lake = tmp_path / "lake"
    assert [path for path in (lake, *lake.rglob("*")) if path.stat().st_mode & 0o077] == []
