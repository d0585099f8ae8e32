"""Scenes for crash tests: a lake, a command to interrupt, and the expected result."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import pytest

import gold
from lakehouse import Lakehouse
from runtime.cli import main
from runtime.errors import UsageError
from silver import events
from tests.support.checkout import ROOT
from tests.support.deliveries import Deliveries, event, play, song

Facts = dict[str, Counter[tuple[object, ...]]]  # by table, the number of each row
Deliver = Callable[[Deliveries], None]


@dataclass(frozen=True)
class Scene:
    """Deliveries taken in by one run each, a last delivery, and the command to interrupt."""

    name: str
    before: Sequence[Deliver]
    last: Deliver
    command: tuple[str, ...] = ("run",)
    options: tuple[str, ...] = ()
    stricter: Mapping[str, str] = field(default_factory=dict)  # rules of silver.events before the command


def first_days(sources: Deliveries) -> None:
    sources.songs("1.json", [song(), song(song_id="SONG2", title="Sums", artist_id="ARTIST2")])
    sources.logs("1.json", [play(), play("2018-11-02 11:00:00", itemInSession=1, song="Sums")])
    sources.logs("2.json", [event("2018-11-03 10:00:00", sessionId=2, userId="8", level="paid"), "{cut"])


def next_day(sources: Deliveries) -> None:
    sources.songs("2.json", [song(song_id="SONG3", title="Loops", artist_id="ARTIST3", year=1999)])
    sources.logs(
        "3.json", [play("2018-12-04 10:00:00", sessionId=3, level="paid", song="Loops"), '{"userId": 1}']
    )


def corrections(sources: Deliveries) -> None:
    """A retracted play, a late event, a corrected user and song, and an invalid correction."""
    next_day(sources)
    sources.songs(
        "3.json", [song(title="Sums", artist_location="London"), song(song_id="SONG2", title="Notes")]
    )
    late = play("2018-11-01 09:00:00", sessionId=9, userId="9", song="Loops")
    retracted = event("2018-11-02 11:00:00", itemInSession=1)
    moved = event("2018-11-03 10:00:00", sessionId=2, userId="10", level="free")
    invalid = play(level="gold")
    sources.logs("4.json", [late, retracted, moved, invalid])


def many_files(sources: Deliveries) -> None:
    corrections(sources)
    for number in range(5, 8):
        at = f"2018-12-0{number} 10:00:00"
        sources.logs(f"{number}.json", [play(at, sessionId=number, itemInSession=n) for n in range(2)])


def nothing(_: Deliveries) -> None:
    """No file."""


SCENES = {
    scene.name: scene
    for scene in (
        Scene("first run", [], corrections),
        Scene("next day", [first_days], next_day),
        Scene("corrections", [first_days], corrections),
        Scene("many batches", [first_days], many_files, options=("--set=batch_bytes=900",)),
        Scene("full refresh", [first_days, corrections], nothing, ("run", "--full-refresh")),
        Scene(
            "quarantine retry",
            [first_days, corrections],
            nothing,
            ("quarantine", "retry"),
            stricter={"level_is_known": "level = 'paid'"},
        ),
        Scene("optimize", [first_days, corrections], nothing, ("optimize",)),
        Scene("vacuum", [first_days, corrections], nothing, ("vacuum", "--yes", "--set=history_days=0")),
        Scene("restore", [first_days, corrections], nothing, ("restore", "--batch=1", "--yes")),
    )
}


@dataclass
class Stage:
    """A prepared scene: its sources, the lake before the command, and the lake after it."""

    scene: Scene
    engine: str
    folder: Path
    steps: list[str] = field(default_factory=list)
    _started: list[Disturbed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sources = Deliveries(self.folder / "sources")
        for deliver in self.scene.before:
            deliver(self.sources)
            with patch.dict(events.TABLE.expectations, self.scene.stricter):
                assert self.run(self.folder / "before", "run") == 0
        self.scene.last(self.sources)
        self.undisturbed = self.lake("undisturbed")
        begun = time.monotonic()
        ended = self.disturb(self.undisturbed)
        self.seconds = time.monotonic() - begun
        assert ended.code == 0, ended.err
        self.steps = ended.steps

    def lake(self, name: str) -> Path:
        """A copy of the lake before the command."""
        copy = self.folder / name.replace("#", " ")
        if (self.folder / "before").exists():
            shutil.copytree(self.folder / "before", copy)
        return copy

    def options(self, lake: Path) -> list[str]:
        sources = [f"--song-data={self.sources.song_data}", f"--log-data={self.sources.log_data}"]
        return [f"--lake={lake}", f"--engine={self.engine}", *sources, *self.scene.options]

    def run(self, lake: Path, *command: str) -> int:
        """Run a command, by default the scene's, in this process. Returns its exit code."""
        return main([*(command or self.scene.command), *self.options(lake)])

    def disturb(self, lake: Path, where: object = 0, what: str = "kill", *more: str) -> Ended:
        """Run the scene's command, interrupted at a boundary."""
        return self.start(lake, where, what, *more).wait()

    def start(self, lake: Path, where: object = 0, what: str = "kill", *more: str) -> Disturbed:
        """Start the scene's command without waiting for its end."""
        self._started.append(Disturbed(self, lake, where, what, *more))
        return self._started[-1]

    def close(self) -> None:
        """Kill paused processes that a failed test left."""
        for disturbed in self._started:
            disturbed.end()

    def open(self, lake: Path) -> Lakehouse:
        return self.sources.lake(lake)


@dataclass(frozen=True)
class Ended:
    """Exit code and stderr of a command, and the boundaries it reached."""

    code: int
    err: str
    steps: list[str] = field(default_factory=list)


class Disturbed:
    """The scene's running command, leader of its own process group."""

    def __init__(self, stage: Stage, lake: Path, where: object, what: str, *more: str) -> None:
        self._log = stage.folder / f"{time.monotonic_ns()}.steps"
        words = [*stage.scene.command, *stage.options(lake), *more]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.crashing", str(where), what, str(self._log), *words],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def steps(self) -> list[str]:
        """The boundaries reached so far."""
        return self._log.read_text().splitlines() if self._log.exists() else []

    def signal(self, sent: signal.Signals) -> None:
        """Send a signal to the whole group."""
        os.killpg(self._process.pid, sent)

    def wait(self) -> Ended:
        """Wait for the end of the process, and of its group if it was killed."""
        _, err = self._process.communicate(timeout=1500)  # a cold Spark on a busy machine
        code = self._process.returncode
        while _members(self._process.pid) and code == -signal.SIGKILL:
            time.sleep(0.01)  # a killed JVM needs a moment to end
        return Ended(code, err, self.steps)

    def kill_after(self, seconds: float) -> Ended:
        """Kill the group some seconds after its first boundary, unless it ended before."""
        while not self.steps and self._process.poll() is None:
            time.sleep(0.005)
        time.sleep(seconds)
        if self._process.poll() is None:
            self.signal(signal.SIGKILL)
        return self.wait()

    def wait_until_paused(self) -> bool:
        """Wait until the process stops itself. False if it ended instead."""
        while self._process.poll() is None:
            if Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
                return True
            time.sleep(0.01)
        return False

    def end(self) -> None:
        """Kill the group if it still runs."""
        if self._process.poll() is None:
            self.signal(signal.SIGKILL)
            self._process.communicate()


def _members(group: int) -> list[int]:
    """The live processes of a group."""
    pids = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in "ZX" and int(fields[2]) == group:
            pids.append(int(stat.parent.name))
    return pids


def published(lake: Lakehouse, batch: int | None = None) -> Facts:
    """All rows that a reader sees, without columns that differ between runs; {} before the first publish."""
    try:
        snapshot = lake.at(batch=batch)
    except UsageError:
        return {}
    return {
        name: Counter(
            tuple(map(str, row.values())) for row in snapshot.table(name).arrow().select(columns).to_pylist()
        )
        for name, columns in COMPARED.items()
    }


COMPARED = {
    name: list(table.content) + (["_source_file", "_source_line"] if name.startswith("bronze.") else [])
    for name, table in gold.TABLES.items()
}


def batch_of(lake: Lakehouse) -> int:
    """The last published batch, 0 before the first."""
    try:
        return lake.at().batch_id
    except UsageError:
        return 0


OnStage = Callable[[str], Stage]  # a scene by name, prepared once a session


def any_boundary(chance: random.Random, stage: Stage) -> int:
    """A random boundary; each kind of step has the same probability."""
    name = chance.choice(sorted(set(stage.steps)))
    return chance.choice([number for number, step in enumerate(stage.steps, 1) if step == name])


ON_BOTH = [pytest.mark.engine, pytest.mark.long_on_spark]


def in_slow(*wheres: str, but: str) -> list[object]:
    return [pytest.param(w, marks=ON_BOTH if w == but else [pytest.mark.slow]) for w in wheres]
