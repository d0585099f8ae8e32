"""`make cluster-demo`: run the sample on a Spark cluster on this machine, and compare gold with Sail.

A master and two workers from PySpark, each a process; spark-submit; executors that get Delta's jars from the
driver and the project as a zip. All files are in `data/cluster-demo`; the cluster ends with the demo.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from runtime.demo.demo import DATA, Stopped, different, ended, lakehouse, say
from runtime.demo.standalone import LOOPBACK, SHORT, Cluster, running, spark_program
from runtime.engine.java import require_java
from runtime.engine.spark import LOGGING
from runtime.errors import CheckFailed, UsageError

FOLDER = DATA / "cluster-demo"
SAMPLE, MARK = FOLDER / "sample", FOLDER / ".demo"
LAKE, SECOND = FOLDER / "lakehouse", FOLDER / "lakehouse-sail"
PACKAGE = Path("dist/sparkify-lakehouse.zip")
# Settings for large data do not pay on small data: more tasks, adaptive plans, compiled code. The web
# pages of the driver have no use in half a minute.
SMALL = {
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.ui.enabled": "false",
}


def main() -> int:
    """Run the demo; returns the exit code of the first failed command, or 0."""
    return ended(demonstrate)


def demonstrate() -> None:
    """Make sample data, run it on a cluster and on Sail, and compare the gold tables."""
    require_java()
    start_afresh()
    begun = time.monotonic()
    say("1. Sample data of our own.")
    lakehouse("sample", "--out", str(SAMPLE), "--events", "10000")
    sources = ("--song-data", str(SAMPLE / "song_data"), "--log-data", str(SAMPLE / "log_data"))
    say("\n2. A Spark cluster: a master and two workers with one core each.")
    with running((FOLDER / "cluster").resolve()) as cluster:
        pids = ", ".join(str(worker.pid) for worker in cluster.workers)
        say(f"{cluster.url} is process {cluster.master.pid}; its workers are {pids}")
        say("\n3. The run, on executors of that cluster.")
        submit(cluster, "run", "--target", "cluster", "--lake", str(LAKE), *sources)
    say("\n4. The same data on Sail, without a cluster.")
    lakehouse("run", "--lake", str(SECOND), *sources)
    compare()
    took = f"{time.monotonic() - begun:.0f} s"
    say(f"\nThat took {took}. The cluster has ended; what it logged is in {FOLDER}/cluster.")


def compare() -> None:
    """Raises CheckFailed when a gold table differs."""
    from lakehouse import Lakehouse

    ours, theirs = Lakehouse.open(lake=str(LAKE)), Lakehouse.open(lake=str(SECOND))
    gold = [name for name in ours.tables if name.startswith("gold.")]
    if unequal := list(different(ours, theirs, gold)):
        raise CheckFailed(f"{LAKE} and {SECOND} differ in: {', '.join(unequal)}.")
    say("gold identical on the cluster and on Sail")


def submit(cluster: Cluster, *words: str) -> None:
    """Print a spark-submit command and run it. Raises Stopped."""
    command = submission(cluster, *words)
    say(f"$ spark-submit {shlex.join(command[1:])}")
    done = subprocess.run(command, env=submitting(), check=False)
    if done.returncode:
        raise Stopped(done.returncode)


def submission(cluster: Cluster, *words: str, package: Path = PACKAGE) -> list[str]:
    """The spark-submit command line, with settings for a small sample and a short run."""
    listed = [
        *("--master", cluster.url, "--driver-memory", "1g", "--executor-memory", "1g"),
        *("--py-files", str(package)),
        *("--driver-java-options", f"{SHORT} -Dlog4j2.configurationFile={LOGGING}"),
        *("--conf", f"spark.executor.extraJavaOptions={SHORT}"),
    ]
    small = [word for key, value in SMALL.items() for word in ("--conf", f"{key}={value}")]
    return [str(spark_program("spark-submit")), *listed, *small, "lakehouse.py", *words]


def submitting(**more: str) -> dict[str, str]:
    """The environment of a spark-submit on the loopback interface."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LAKEHOUSE_") and k != "SPARK_HOME"}
    python = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    return {**inherited, "SPARK_LOCAL_IP": LOOPBACK, **python, **more}


def start_afresh() -> None:
    """Delete the folder of an earlier demo. Raises UsageError if the demo did not make it."""
    if FOLDER.exists() and not MARK.exists():
        raise UsageError(f"{FOLDER} is there already, and the demo did not make it. Move it away.")
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "cluster").mkdir(parents=True)
    MARK.touch()


if __name__ == "__main__":
    sys.exit(main())
