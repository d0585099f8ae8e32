"""`python -m benchmarks [--large | --cluster]`: time the lake beside its peers, and keep the figures.

Results go to benchmarks/results/*.json, and from there into docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import answers, cluster, costs, large, page, reading
from benchmarks.cases import Workspace, first_loads, nothing_new, one_more_day, timed
from benchmarks.data import sources
from benchmarks.processes import figures
from runtime.engine import class_archive
from runtime.engine.java import JAVA, java_version

DATA = Path("data/bench")
RESULTS = Path(__file__).parent / "results"
PEERS = ("duckdb_recompute", "polars_merge", "tuned_pyspark", "usual_pyspark")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmarks that were asked for, and write the page anew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--large", action="store_true", help="10M and 30M events instead of the peers")
    parser.add_argument(
        "--months", type=int, nargs="+", default=large.MONTHS, help="sizes of --large, in million events"
    )
    parser.add_argument("--cluster", action="store_true", help="a Spark cluster of one worker, and of two")
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the first load")
    parser.add_argument("--rounds", type=int, default=5, help="how often each case runs at most")
    parser.add_argument("--no-spark", action="store_true", help="leave out what needs Java")
    asked = parser.parse_args(arguments)
    if asked.large:
        keep("large", large.measured(DATA, asked.rounds, asked.months))
    elif asked.cluster:
        at = Workspace(DATA / f"cluster-{asked.events}", sources(DATA, asked.events))
        keep("cluster", {"events": asked.events, **cluster.measured(at, asked.rounds)})
    else:
        spark = not asked.no_spark and java_version() in JAVA
        found = measured(DATA, asked.events, asked.rounds, spark=spark)
        keep("bench", found)  # what comes next takes minutes, and may fail
        at = Workspace(DATA / f"work-{asked.events}", sources(DATA, asked.events))
        keep("bench", {**found, "costs": costs.measured(at, spark=spark)})
    page.draw_all()


def measured(folder: Path, events: int, rounds: int, *, spark: bool) -> dict[str, Any]:
    """Time all cases, then the reading. The first loads count once the peers' answers are checked."""
    at = Workspace(folder / f"work-{events}", sources(folder, events))
    shutil.rmtree(at.folder, ignore_errors=True)
    if spark and not class_archive.path().exists():
        class_archive.make()
    loads = first_loads(at, spark=spark)
    runs = timed(loads, 1)
    checked = wrong_answers(at)
    again = timed(loads, rounds, done=1)
    runs = {case: [*first, *again[case]] for case, first in runs.items()}
    runs |= timed(one_more_day(at, spark=spark), rounds)
    runs |= timed(nothing_new(at), 2 * rounds)
    lake = at.out("lake on sail")
    return {
        "events": events,
        "differences": checked,
        "cases": [{"name": n, "who": w, **figures(r)} for (n, w), r in runs.items()],
        "month": reading.month(lake, rounds),
        "questions": reading.questions(lake, rounds),
    }


def wrong_answers(at: Workspace) -> dict[str, dict[str, int]]:
    """Per peer the rows that differ from ours; all of them must be none."""
    outs = {peer: at.out(peer) for peer in PEERS if Path(at.out(peer)).exists()}
    found = {peer: answers.differences(at.out("lake on sail"), out) for peer, out in outs.items()}
    if any(found.values()):
        raise SystemExit(f"a peer gives other rows than the lake, so its time would say nothing: {found}")
    return found


def keep(name: str, results: Mapping[str, Any]) -> None:
    """Write results with the machine they were made on."""
    machine = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"machine": machine, **results}, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
