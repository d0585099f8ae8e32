"""A command as a whole process, from cold: what it took, and what its process tree held at most."""

from __future__ import annotations

import os
import statistics
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.process.cpu_time import TICKS, children, stat

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Run:
    """`seconds` by the wall clock, `cpu` seconds of all processes, `peak` bytes resident at one moment,
    `read` and `written` bytes asked of the file system, cached or not."""

    seconds: float
    cpu: float
    peak: int
    read: int
    written: int
    output: str


def figures(runs: Sequence[Run]) -> dict[str, Any]:
    """All runs of a case, and the medians that are quoted."""
    return {
        "seconds": [round(r.seconds, 3) for r in runs],
        "cpu": [round(r.cpu, 3) for r in runs],
        "median": round(statistics.median(r.seconds for r in runs), 3),
        "peak_bytes": max(r.peak for r in runs),
        "read_bytes": round(statistics.median(r.read for r in runs)),
        "written_bytes": round(statistics.median(r.written for r in runs)),
    }


class Failed(Exception):
    """A command did not end with 0; the message holds the end of what it said."""


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> Run:
    """Run a command to its end. Raises Failed."""
    os.sync()  # what was written before it is not this command's to wait for
    begun, before = time.perf_counter(), os.times()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    watcher = _Watcher(process.pid)
    output, _ = process.communicate()
    seconds, after = time.perf_counter() - begun, os.times()
    watcher.stop()
    if process.returncode:
        raise Failed(f"{' '.join(command)} ended with {process.returncode}:\n{output[-3000:]}")
    # A JVM outlives the Python that started it, so nobody waits for it: its time is what was last seen.
    cpu = max(sum(after[2:4]) - sum(before[2:4]), watcher.cpu)
    return Run(seconds, cpu, watcher.peak, watcher.read, watcher.written, output)


class _Watcher(threading.Thread):
    """Looks at a process and its descendants some times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._done = pid, threading.Event()
        self.peak = 0
        self._io: dict[int, tuple[int, int]] = {}
        self._cpu: dict[int, float] = {}
        self.start()

    @property
    def cpu(self) -> float:
        return sum(self._cpu.values())

    @property
    def read(self) -> int:
        return sum(io[0] for io in self._io.values())

    @property
    def written(self) -> int:
        return sum(io[1] for io in self._io.values())

    def run(self) -> None:
        while not self._done.wait(0.02):
            tree = _tree(self._pid)
            self.peak = max(self.peak, sum(map(_resident, tree)))
            self._io.update({pid: io for pid in tree if (io := _bytes(pid))})
            self._cpu.update({pid: used for pid in tree if (used := _used(pid)) is not None})

    def stop(self) -> None:
        self._done.set()
        self.join()


def _tree(root: int) -> list[int]:
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += map(int, children(str(pid)))
    return found


def _used(pid: int) -> float | None:
    """Processor seconds of a process; None when it ended meanwhile."""
    try:
        fields = stat(str(pid))
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / TICKS


def _resident(pid: int) -> int:
    fields = _text(Path(f"/proc/{pid}/statm")).split()
    return int(fields[1]) * PAGE if fields else 0


def _bytes(pid: int) -> tuple[int, int] | None:
    """rchar and wchar: what was asked for, whether or not a disk was needed."""
    facts = dict(line.split(": ") for line in _text(Path(f"/proc/{pid}/io")).splitlines())
    return (int(facts["rchar"]), int(facts["wchar"])) if "rchar" in facts else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it ended meanwhile
        return ""
