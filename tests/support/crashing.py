"""Run the command line, interrupted at one step boundary:
`python -m tests.support.crashing WHERE WHAT LOG COMMAND…`.

A boundary is the moment before or after a call of STEPS. WHERE is its number, from 1 (0: none), or its name
and number among those of that name, `after TableVersions.wrote#3`. The process writes each boundary to LOG,
and does WHAT at WHERE. The product has no code for this: the calls are wrapped from outside.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.support.power import cut_power

STEPS = (
    ("runtime.ledger.ledger", "Ledger", "create"),
    ("runtime.ledger.ledger", "Ledger", "compact"),
    ("runtime.ledger.lease", "Owner", "start"),
    ("runtime.ledger.lease", "Owner", "commit"),
    ("runtime.ledger.lease", "Owner", "release"),
    ("runtime.delta.store", "Store", "create"),
    ("runtime.delta.store", "Store", "clear_scratch"),
    ("runtime.delta.store", "Store", "flush"),
    ("runtime.delta.versions", "TableVersions", "wrote"),
    ("runtime.delta.versions", "TableVersions", "check"),
    ("runtime.run.steps.batch_context", "BatchContext", "keep"),
    ("runtime.run.steps.batch_context", "BatchContext", "append"),
    ("runtime.run.steps.batch_context", "BatchContext", "merge"),
    ("deltalake", "DeltaTable", "restore"),
    ("deltalake.table", "TableOptimizer", "compact"),
    ("deltalake.table", "TableOptimizer", "z_order"),
    ("runtime.engine", "", "start"),
)


def to_the_group(sent: signal.Signals) -> None:
    """Signal the whole process group, as Ctrl-C does in a terminal and the OOM killer in a container."""
    os.killpg(0, sent)


def as_a_stranger() -> None:
    """Append to a gold table without the lease, as another program would."""
    from deltalake import DeltaTable, QueryBuilder, write_deltalake

    for name in ("users", "songs"):
        uri = f"{_lake()}/gold/{name}"
        if Path(uri, "_delta_log").is_dir():
            stored = QueryBuilder().register("t", DeltaTable(uri)).execute("select * from t limit 1")
            write_deltalake(uri, stored.read_all(), mode="append")


def as_a_full_disk() -> None:
    """Fill the lake's disk."""
    with Path(_lake(), "filler").open("ab", buffering=0) as filler, suppress(OSError):
        while filler.write(bytes(4096)):
            pass


def as_a_limit() -> None:
    """Forbid files to grow: the effect of a full disk where no small one can be mounted."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def as_a_power_cut() -> None:
    """Drop all writes of the lake's ext4 that are not on disk yet, and end the process."""
    cut_power(Path(_lake()))
    to_the_group(signal.SIGKILL)


WHAT: dict[str, Callable[[], None]] = {
    "kill": lambda: to_the_group(signal.SIGKILL),
    "pause": lambda: to_the_group(signal.SIGSTOP),
    "interrupt": lambda: to_the_group(signal.SIGINT),
    "terminate": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "stranger": as_a_stranger,
    "fill": as_a_full_disk,
    "limit": as_a_limit,
    "cut": as_a_power_cut,
}


def _lake() -> str:
    return next(word for word in sys.argv if word.startswith("--lake=")).removeprefix("--lake=")


class Boundaries:
    """Counts boundaries, and interrupts at one."""

    def __init__(self, where: str, what: str, log: Path) -> None:
        self._where, self._what = where, WHAT[what]
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._reached = Counter[str]()

    def reached(self, name: str) -> None:
        self._reached[name] += 1
        with suppress(OSError):  # no file may grow any more
            os.write(self._log, f"{name}\n".encode())
        if self._where in (str(self._reached.total()), f"{name}#{self._reached[name]}"):
            self._what()

    def wrap(self, module: str, owner: str, name: str) -> None:
        """Make boundaries before and after a call."""
        holder: Any = import_module(module)
        holder = getattr(holder, owner) if owner else holder
        call = getattr(holder, name)
        label = f"{owner or module}.{name}"

        @wraps(call)
        def wrapped(*positional: Any, **named: Any) -> Any:
            self.reached(f"before {label}")
            result = call(*positional, **named)
            self.reached(f"after {label}")
            return result

        setattr(holder, name, wrapped)


def main() -> int:
    """Run a command line with wrapped steps. Returns its exit code."""
    where, what, log, *words = sys.argv[1:]
    boundaries = Boundaries(where, what, Path(log))
    for step in STEPS:
        boundaries.wrap(*step)
    from runtime.cli import main as command_line

    return command_line(words)


if __name__ == "__main__":
    sys.exit(main())
