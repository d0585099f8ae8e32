"""`make demo`: the first two minutes, as the commands of a user and their output.

It writes below `data/` only: sample data in `data/sample`, the lake in `data/lakehouse`, a second lake next
to it, and a page about the lake in `data/report.html`. A rerun starts from scratch, and deletes a lake only
when all its data comes from the sample.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.engine.java import INSTALL, JAVA, java_version, require_java
from runtime.errors import CheckFailed, LakehouseError, UsageError

if TYPE_CHECKING:
    from runtime.lake import Lakehouse
    from runtime.read.snapshot import Snapshot

    Lake = Lakehouse | Snapshot

DATA = Path("data")
SAMPLE, LAKE, MARK, REPORT = DATA / "sample", DATA / "lakehouse", DATA / ".demo", DATA / "report.html"
SECOND = {engine: LAKE.with_name(f"{LAKE.name}-{engine}") for engine in ("sail", "spark")}
LEVELS = "select level, count(*) n from gold.users group by level order by level"
FOREIGN = """
    select _source_file from (from bronze.song_data union all by name from bronze.log_data)
    where not starts_with(_source_file, '{sample}/') limit 1
"""


class Stopped(Exception):
    """A command of the demo failed and has printed why. `code`: its exit code."""

    def __init__(self, code: int) -> None:
        self.code = code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit code of the first failed command, or 0."""
    parser = argparse.ArgumentParser(prog="python -m runtime.demo", description="The first two minutes.")
    parser.add_argument("--engine", choices=("sail", "spark"), default="sail")
    engine = parser.parse_args(arguments).engine
    return ended(lambda: demonstrate(engine))


def ended(demonstration: Callable[[], None]) -> int:
    """Run a demonstration; prints an error and returns its exit code."""
    try:
        demonstration()
    except Stopped as stopped:
        return stopped.code
    except LakehouseError as wrong:
        say(f"error: {wrong}")
        return wrong.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def demonstrate(engine: str) -> None:
    """Run all steps, the lake on one engine and the second lake on the other."""
    other = "spark" if engine == "sail" else "sail"
    if engine == "spark":
        require_java()
    begun = time.monotonic()
    start_afresh([LAKE, *SECOND.values()])
    first_day_to_last([] if engine == "sail" else ["--engine", engine])
    say("\n5. All of it on one page, for a browser.")
    lakehouse("report", "--out", str(REPORT))
    if other == "sail" or java_version() in JAVA:
        on_both_engines(other, SECOND[other])
    else:
        say(f"\n6. The same data on Spark: left out, there is no Java that runs it: {INSTALL}.")
    say(
        f"\nThat took {time.monotonic() - begun:.0f} s. The tables are in {LAKE}, the page is {REPORT}. Next:"
    )
    for command, what in (
        ("source .venv/bin/activate", "once in every shell: then `python` has what the lake needs"),
        ("python lakehouse.py status", "what the lake holds"),
        ('python lakehouse.py query "from gold.songplays limit 5"', "ask it anything"),
        ("make notebook", "look around in JupyterLab"),
        ("make test", "run the tests"),
    ):
        say(f"  {command:57}{what}")


def first_day_to_last(engine: list[str]) -> None:
    """Make sample data, run, deliver one more day, run, and query an earlier batch."""
    say("1. Sample data of our own: 500 songs, and a log file for each of 30 days. The last is kept back.")
    lakehouse("sample", "--out", str(SAMPLE), "--events", "10000")
    last = max((SAMPLE / "log_data").rglob("*.json"))
    move(last, DATA / last.name)
    say("\n2. The first run: raw files become a star schema.")
    lakehouse("run", *engine)
    say("\n3. The last day is delivered. A second run reads its file and no other.")
    move(DATA / last.name, last)
    lakehouse("run", *engine)
    say("\n4. Users by level now, and as the first batch left them.")
    lakehouse("query", LEVELS)
    lakehouse("query", LEVELS, "--batch", "1")


def on_both_engines(other: str, second: Path) -> None:
    """Run the same data on the other engine, in one batch. Raises CheckFailed when gold differs."""
    from lakehouse import Lakehouse

    say(f"\n6. The same data on {other.capitalize()}, in one batch, into a lake of its own.")
    lakehouse("run", "--engine", other, "--lake", str(second))
    ours, theirs = Lakehouse.open(lake=str(LAKE)), Lakehouse.open(lake=str(second))
    gold = [name for name in ours.tables if name.startswith("gold.")]
    if unequal := list(different(ours, theirs, gold)):
        raise CheckFailed(f"{LAKE} and {second} differ in: {', '.join(unequal)}.")
    say("gold identical on both engines")


def different(left: Lake, right: Lake, tables: Iterable[str]) -> Iterator[str]:
    """The tables whose rows differ, compared as multisets without columns with a leading `_`."""
    import duckdb

    for name in tables:
        columns = ", ".join(left.tables[name].content)
        connection = duckdb.connect()
        for side, lake in (("a", left), ("b", right)):
            connection.register(side, lake.table(name).duckdb().project(columns).to_arrow_table())
        for minus in ("from a except all from b", "from b except all from a"):
            if connection.sql(f"{minus} limit 1").fetchall():
                yield name
                break


def start_afresh(lakes: Sequence[Path]) -> None:
    """Delete the lakes of an earlier demo. Raises UsageError for a lake with other data."""
    for lake in lakes:
        if lake.exists() and (why := why_not_ours(lake)):
            raise UsageError(f"{lake} {why}. Move it away or delete it, then start the demo again.")
    DATA.mkdir(exist_ok=True)
    MARK.write_text(f"{SAMPLE.resolve()}\n")
    for lake in lakes:
        shutil.rmtree(lake, ignore_errors=True)


def why_not_ours(lake: Path) -> str | None:
    """Why the demo must not delete this lake, None when it may."""
    from lakehouse import Lakehouse

    if not MARK.exists():
        return "is there already, and the demo did not make it"
    opened = Lakehouse.open(lake=str(lake))
    if (lease := opened.upkeep()["lease"]) is not None:
        return f"is being written to by process {lease['pid']} on {lease['host']}"
    if opened.upkeep()["last"] is None:
        return None
    # The path of the sample when the lake was made: the project may have moved since.
    sample = MARK.read_text().strip().replace("'", "''")
    foreign = opened.sql(FOREIGN.format(sample=sample)).to_pylist()
    return f"holds more than the demo's sample: {foreign[0]['_source_file']}" if foreign else None


def lakehouse(*words: str) -> None:
    """Print a command as a user types it, and run it. Raises Stopped."""
    say(f"$ python lakehouse.py {shlex.join(words)}".replace(shlex.quote(LEVELS), f'"{LEVELS}"'))
    # A setting in the user's environment would point the commands at another lake.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LAKEHOUSE_")}
    done = subprocess.run([sys.executable, "lakehouse.py", *words], env=environment, check=False)
    if done.returncode:
        raise Stopped(done.returncode)


def move(file: Path, to: Path) -> None:
    """Move a file, printed as the shell command."""
    say(f"$ mv {file} {to.parent}/")
    file.rename(to)


def say(line: str) -> None:
    """Print a line and flush it, before the output of the next command."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
