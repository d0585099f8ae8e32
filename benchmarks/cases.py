"""What is timed: each case is one command, and what must be in place before it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data import Sources
from benchmarks.processes import Run, run

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / "benchmarks" / "peers"
ENTRY = str(ROOT / "lakehouse.py")


@dataclass(frozen=True)
class Case:
    """`name` is what is timed, `who` does it; `prepare` puts the state before it in place, untimed.

    `rounds` bounds how often it runs: the slowest peers need not run as often as the fast ones.
    """

    name: str
    who: str
    command: Sequence[str]
    prepare: Callable[[], object] = lambda: None
    rounds: int = 5


@dataclass(frozen=True)
class Workspace:
    """The folders of one size of data."""

    folder: Path
    data: Sources

    def out(self, who: str) -> str:
        """Where someone's tables are."""
        return str(self.folder / who.replace(" ", "-"))

    def ours(self, engine: str, *words: str, lake: str | None = None) -> list[str]:
        """Our command line on this data."""
        place = ["--lake", lake or self.out(f"lake on {engine}"), "--engine", engine]
        sources = ["--song-data", str(self.data.songs), "--log-data", str(self.data.logs)]
        return [sys.executable, ENTRY, *words, *place, *sources, "--quiet"]

    def peer(self, script: str, *more: str, out: str | None = None) -> list[str]:
        """A peer's script on this data."""
        where = [str(self.data.songs), str(self.data.logs), out or self.out(script)]
        return [sys.executable, str(PEERS / f"{script}.py"), *where, *more]

    def empty(self, who: str) -> Callable[[], None]:
        """Nothing there yet, and the day after not delivered."""

        def prepare() -> None:
            shutil.rmtree(self.out(who), ignore_errors=True)
            self.data.withdraw()

        return prepare

    def before_the_day(self, who: str) -> Callable[[], None]:
        """The tables without the day after, in another place, and that day delivered.

        Their files are linked: nobody changes a file of a Delta table, and to copy the larger lakes would
        leave the machine busy with them while the day is timed.
        """

        def prepare() -> None:
            later = Path(self.out(f"{who} later"))
            shutil.rmtree(later, ignore_errors=True)
            shutil.copytree(self.out(who), later, copy_function=os.link)
            self.data.deliver()

        return prepare


def first_loads(at: Workspace, *, spark: bool) -> list[Case]:
    """Everything from nothing."""
    cases = [
        Case("first load", "lakehouse on Sail", at.ours("sail", "run"), at.empty("lake on sail")),
        Case("first load", "DuckDB script", at.peer("duckdb_recompute"), at.empty("duckdb_recompute")),
        Case("first load", "Polars + delta-rs", at.peer("polars_merge"), at.empty("polars_merge")),
    ]
    if spark:
        cases += [
            Case("first load", "lakehouse on Spark", at.ours("spark", "run"), at.empty("lake on spark"), 2),
            Case("first load", "tuned PySpark", at.peer("tuned_pyspark"), at.empty("tuned_pyspark"), 2),
            Case("first load", "usual PySpark", at.peer("usual_pyspark"), at.empty("usual_pyspark"), 2),
        ]
    return cases


def one_more_day(at: Workspace, *, spark: bool) -> list[Case]:
    """A day on top of the first load. Who recomputes everything is timed on everything."""
    name, day = "one more day", at.data.logs / at.data.day.name
    sail, polars = at.out("lake on sail later"), at.out("polars_merge later")
    merged = at.peer("polars_merge", "--day", str(day), out=polars)
    cases = [
        Case(name, "lakehouse on Sail", at.ours("sail", "run", lake=sail), at.before_the_day("lake on sail")),
        Case(name, "Polars + delta-rs", merged, at.before_the_day("polars_merge")),
        Case(name, "DuckDB script", at.peer("duckdb_recompute"), at.data.deliver),
    ]
    if spark:
        on_spark = at.ours("spark", "run", lake=at.out("lake on spark later"))
        cases += [
            Case(name, "lakehouse on Spark", on_spark, at.before_the_day("lake on spark"), 2),
            Case(name, "tuned PySpark", at.peer("tuned_pyspark"), at.data.deliver, 2),
        ]
    return cases


def nothing_new(at: Workspace) -> list[Case]:
    """The commands that are to be at hand at once."""
    imports = [sys.executable, "-c", "import deltalake, pyarrow"]
    lake = ["--lake", at.out("lake on sail")]
    return [
        Case("nothing new", "lakehouse on Sail", at.ours("sail", "run"), at.data.withdraw),
        Case("nothing new", "import deltalake, pyarrow", imports),
        Case("--help", "lakehouse", [sys.executable, ENTRY, "--help"]),
        Case("status", "lakehouse", [sys.executable, ENTRY, "status", *lake]),
        Case("history", "lakehouse", [sys.executable, ENTRY, "history", *lake]),
    ]


def timed(cases: Sequence[Case], rounds: int, done: int = 0) -> dict[tuple[str, str], list[Run]]:
    """Every case once, then every case again …, so that a slow moment of the machine meets all alike.

    `done`: so many of the rounds are over already.
    """
    runs: dict[tuple[str, str], list[Run]] = {(case.name, case.who): [] for case in cases}
    for number in range(done, rounds):
        for case in cases:
            if number < case.rounds:
                case.prepare()
                found = run(case.command)
                runs[case.name, case.who].append(found)
                print(
                    f"{case.name:14} {case.who:28} {found.seconds:7.2f} s  cpu {found.cpu:7.2f} s", flush=True
                )
    return runs
