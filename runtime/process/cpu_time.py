"""The age of this process, and the CPU time of it and its descendants."""

from __future__ import annotations

import os
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds() -> float:
    """CPU time of this process and its descendants; without /proc, only of descendants that have ended."""
    return sum(os.times()[:4]) + sum(map(_with_descendants, children("self")))


def age_of_process() -> float:
    """Seconds since this process started; without /proc, its CPU time."""
    try:
        started = int(stat("self")[19]) / TICKS
    except OSError:
        return time.process_time()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def _with_descendants(pid: str) -> float:
    try:
        used = sum(map(int, stat(pid)[11:15])) / TICKS
    except OSError:  # the process has ended, and its time counts in its parent's
        return 0.0
    return used + sum(map(_with_descendants, children(pid)))


def children(pid: str) -> list[str]:
    """The running child processes of a process; empty when it has ended."""
    try:
        lists = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:  # a thread has ended
        return []
    return [child for some in lists for child in some]


def stat(pid: str) -> list[str]:
    """The fields of /proc/PID/stat after the program's name, which may contain spaces. Raises OSError."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
