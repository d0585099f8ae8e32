"""Commands that only read end with their code every time: no library aborts the process at its exit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tests.support.scenes import OnStage, Stage

pytestmark = pytest.mark.long

READING = (
    ["--help"],
    ["--version"],
    ["plan"],
    ["plan", "--check"],
    ["status"],
    ["history"],
    ["history", "gold.users"],
    ["query", "select * from gold.songplays"],
    ["query", "select * from gold.users", "--batch=1", "--format=json"],
    ["quarantine", "list"],
    ["diff", "1", "2"],
    ["trace", "users", "7"],
    ["report", "--out=report.html"],
    ["doctor"],
    ["verify"],
    ["restore", "--batch=1", "--dry-run"],
    ["no such command"],
)
CODES = {"no such command": 2}
DEAR = {"doctor": 3}  # it starts a JVM each time
FEW = ("status", "history", "query")


@pytest.fixture(scope="module")
def stage(on_stage: OnStage) -> Stage:
    return on_stage("next day")


@pytest.mark.parametrize("words", [words for words in READING if words[0] in FEW], ids=" ".join)
def test_a_reading_command_ends_with_its_code(stage: Stage, words: list[str]) -> None:
    assert codes(stage, words, 2) == {CODES.get(words[0], 0)}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_reading_command_ends_with_its_code_fifty_times(stage: Stage, words: list[str]) -> None:
    assert codes(stage, words, DEAR.get(words[0], 50)) == {CODES.get(words[0], 0)}


@pytest.mark.slow
def test_the_sample_ends_with_its_code_fifty_times(tmp_path: Path) -> None:
    words = ["sample", "--events=50", "--songs=5", "--days=1", "--dirty"]
    found = {command(*words, f"--out={tmp_path / str(number)}") for number in range(50)}
    assert found == {0}


def codes(stage: Stage, words: list[str], times: int) -> set[int]:
    options = [] if words[0].startswith("--") else stage.options(stage.undisturbed)
    asked = [*words, *(option for option in options if not option.startswith("--engine"))]
    return {command(*asked, folder=stage.folder) for _ in range(times)}


def command(*words: str, folder: Path | None = None) -> int:
    """The exit code of the command line in a process of its own."""
    line = [sys.executable, str(ROOT / "lakehouse.py"), *words]
    return subprocess.run(line, cwd=folder, capture_output=True, stdin=subprocess.DEVNULL).returncode
