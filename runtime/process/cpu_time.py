"""What the machine says of this process: its age, and the processor time of it and its descendants."""

from __future__ import annotations

import os
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds() -> float:
    """Processor time of this process and its descendants; without /proc, of those only that ended."""
    return sum(os.times()[:4]) + sum(map(_with_descendants, children("self")))


def age_of_process() -> float:
    """Seconds since this process started; without /proc, its processor time."""
    try:
        started = int(stat("self")[19]) / TICKS
    except OSError:
        return time.process_time()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def _with_descendants(pid: str) -> float:
    try:
        used = sum(map(int, stat(pid)[11:15])) / TICKS
    except OSError:  # it ended meanwhile, so its parent has its time
        return 0.0
    return used + sum(map(_with_descendants, children(pid)))


def children(pid: str) -> list[str]:
    """The processes that a process started and that run still; none where it ended meanwhile."""
    try:
        lists = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:  # a thread ended meanwhile
        return []
    return [child for some in lists for child in some]


def stat(pid: str) -> list[str]:
    """The fields of /proc/PID/stat after the program's name, which may hold anything. Raises OSError."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
