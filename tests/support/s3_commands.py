"""Commands on a lake in a bucket, each in its own process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lakehouse import Lakehouse
from tests.support.checkout import ROOT
from tests.support.deliveries import Deliveries, event, play, song
from tests.support.s3_server import SECRET, S3Server

SECONDS = 30  # the longest time until a refusal is reported
PATIENCE = 800  # seconds for a run: Spark needs 20 on two idle cores, 300 on a busy machine


@dataclass
class Ended:
    """The result of a command."""

    code: int
    out: str
    err: str
    seconds: float

    def assert_refused(self, *words: str) -> None:
        """Assert exit code 2 within SECONDS, with one error that contains all these words."""
        assert self.code == 2, self.err
        errors = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, self.err
        for word in words:
            assert word in errors[0]
        assert "Traceback" not in self.err
        assert SECRET not in self.err
        assert self.seconds < SECONDS


@dataclass
class Commands:
    """Command lines on one lake, each in its own process, because S3 clients cache state."""

    server: S3Server
    engine: str
    options: list[str]
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def lake(self) -> str:
        """The URI of the lake."""
        return self.options[0].removeprefix("--lake=")

    def start(self, *command: str, where: str = "0", what: str = "pause", **more: str) -> Disturbed:
        environ = {**os.environ, **self.server.environment(), **self.environ, **more}
        return Disturbed(
            [*command, f"--engine={self.engine}", *self.options], environ, self.server.folder, where, what
        )

    def run(self, *command: str, **more: str) -> Ended:
        return self.start(*(command or ("run",)), **more).wait()


class Disturbed:
    """A command that may pause at a boundary between its steps."""

    def __init__(
        self, words: list[str], environ: Mapping[str, str], folder: Path, where: str, what: str
    ) -> None:
        self._begun = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.crashing", where, what, str(folder / "steps.log"), *words],
            cwd=ROOT, env={**environ, "PYTHONPATH": str(ROOT)}, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def wait_until_paused(self) -> None:
        while True:
            _, status = os.waitpid(self.process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status), f"ended instead of pausing: {status}"
            return

    def go_on(self) -> Ended:
        self._begun = time.monotonic()
        os.killpg(self.process.pid, signal.SIGCONT)
        return self.wait()

    def wait(self) -> Ended:
        out, err = self.process.communicate(timeout=PATIENCE)
        return Ended(self.process.returncode, out, err, time.monotonic() - self._begun)


def first_day(sources: Deliveries) -> None:
    sources.songs("1.json", [song()])
    sources.logs("1.json", [play(), event("2018-11-02 11:00:00", itemInSession=1, level="paid")])


def second_day(sources: Deliveries) -> None:
    sources.logs("2.json", [play("2018-11-03 10:00:00", sessionId=2, userId="8"), event(userId="9")])


def on(server: S3Server, engine: str, sources: Deliveries, bucket: str = "lakes") -> Commands:
    """Commands on a lake in a bucket, with local sources."""
    server.bucket(bucket)
    places = [f"--song-data={sources.song_data}", f"--log-data={sources.log_data}"]
    return Commands(server, engine, [f"--lake=s3://{bucket}/lake", *places])


def assert_same_contents(lake: Lakehouse, other: Lakehouse) -> None:
    """Assert equal gold tables. Reads them by DuckDB: an engine may remember that the server was down."""
    for name, table in lake.tables.items():
        if table.layer == "gold":
            columns = ", ".join(f'"{column}"' for column in table.content)
            question = f"select {columns} from {name} order by all"
            assert lake.sql(question).equals(other.sql(question)), name
