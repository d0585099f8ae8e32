"""Whether a second worker helps: a first load on a standalone cluster of one, then of two workers."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases import ENTRY, ROOT, Workspace
from benchmarks.processes import Run, figures, run
from runtime.demo.cluster_demo import submitting
from runtime.demo.standalone import running, spark_program
from runtime.engine.spark import LOGGING

WORKERS = (1, 2)  # of one core each; the driver has what they leave
PACKAGE = ROOT / "dist" / "sparkify-lakehouse.zip"


def measured(at: Workspace, rounds: int) -> dict[str, Any]:
    """The first load by number of workers, in turn. Raises SystemExit without the package."""
    if not PACKAGE.exists():
        raise SystemExit(f"{PACKAGE} is not there: make it with `make dist`.")
    runs: dict[int, list[Run]] = {workers: [] for workers in WORKERS}
    for _ in range(rounds):
        for workers, found in runs.items():
            found.append(_first_load(at, workers))
    return {"workers": {str(workers): figures(found) for workers, found in runs.items()}}


def _first_load(at: Workspace, workers: int) -> Run:
    lake = at.out("lake on cluster")
    logs = Path(at.out(f"cluster of {workers}")).resolve()
    for folder in (lake, logs):
        shutil.rmtree(folder, ignore_errors=True)
    logs.mkdir(parents=True)
    sources = ("--song-data", str(at.data.songs), "--log-data", str(at.data.logs))
    with running(logs, workers=workers) as cluster:
        command = _submission(cluster.url, "run", "--target", "cluster", "--lake", lake, *sources, "--quiet")
        done = run(command, submitting())
    print(f"{workers} workers: {done.seconds:.1f} s", flush=True)
    return done


def _submission(url: str, *words: str) -> Sequence[str]:
    conf = ("--conf", "spark.ui.enabled=false", "--conf", "spark.sql.shuffle.partitions=8")
    java = ("--driver-java-options", f"-Dlog4j2.configurationFile={LOGGING}")
    memory = ("--driver-memory", "1g", "--executor-memory", "1g")
    submit = (str(spark_program("spark-submit")), "--master", url, *memory, "--py-files", str(PACKAGE))
    return [*submit, *java, *conf, ENTRY, *words]
