"""A real cluster: executors in processes of their own, some of which are killed, and the same gold."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

import gold
from lakehouse import Lakehouse
from runtime.demo.cluster_demo import submission, submitting
from runtime.demo.demo import different
from runtime.demo.standalone import Cluster, running
from runtime.engine.java import INSTALL, JAVA, java_version
from runtime.sample import write_sample
from tests.support.checkout import ROOT, check_out
from tests.support.s3_server import REGION, S3Server, upload

# Seconds: 60 on two idle cores, and many times that where ten others work.
pytestmark = [pytest.mark.engine, pytest.mark.spark_only, pytest.mark.timeout(1800), pytest.mark.long]
Submit = Callable[..., "Submitted"]
GOLD = [table.name for table in gold.GOLD]
# The libraries, but not the project: an editable install comes in through site, which -S leaves out.
BARE_PYTHON = """#!/bin/sh
PYTHONPATH="{libraries}:$PYTHONPATH" exec "{python}" -S "$@"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def package(folder: Path) -> Path:
    """What `make dist` makes for --py-files."""
    project = check_out(folder / "project")
    for name in ("pyproject.toml", "README.md", "LICENSE", "Makefile", "requirements.lock"):
        shutil.copy2(ROOT / name, project)
    # The project's own environment stands in for the one that make would create there.
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (project / ".venv" / ".ready").touch()
    subprocess.run(["make", "dist"], cwd=project, check=True, capture_output=True, text=True)
    return project / "dist" / "sparkify-lakehouse.zip"


@pytest.fixture(scope="module")
def sample(folder: Path) -> Path:
    write_sample(folder / "sample", events=300, songs=20, days=2, seed=5)
    return folder / "sample"


@pytest.fixture(scope="module")
def on_sail(folder: Path, sample: Path) -> Lakehouse:
    """The same data, taken in by Sail in a process of its own."""
    lake = folder / "on-sail"
    command = [sys.executable, ROOT / "lakehouse.py", "run", "--engine", "sail", "--lake", lake, *of(sample)]
    subprocess.run(command, check=True, capture_output=True)
    return Lakehouse.open(lake=str(lake))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    if java_version() not in JAVA:
        pytest.skip(f"Spark needs Java 17 or 21: {INSTALL}")
    with running(tmp_path) as cluster:
        yield cluster


class Submitted:
    """A run under spark-submit, by a driver whose executors have no project but what it sends them."""

    def __init__(self, command: Sequence[str], **environment: str) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=submitting(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []

    def wait_for(self, beginning: str) -> None:
        """Until it prints a line that begins so."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith(beginning):
                return
        raise AssertionError("".join(self.lines))

    def ended(self) -> int:
        rest, _ = self.process.communicate(timeout=900)
        self.lines.append(rest)
        return self.process.returncode

    @property
    def text(self) -> str:
        return "".join(self.lines)


def of(sample: Path) -> list[str | Path]:
    return ["--song-data", sample / "song_data", "--log-data", sample / "log_data"]


def kill(processes: Sequence[int]) -> None:
    """Processes and what they started, by SIGKILL."""
    for pid in processes:
        tasks = Path(f"/proc/{pid}/task").glob("*/children")  # a JVM starts processes from any thread
        kill([int(child) for task in tasks for child in task.read_text().split()])
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def submit(cluster: Cluster, package: Path, sample: Path, tmp_path: Path) -> Iterator[Submit]:
    """Starts a run into the lake of the test, and ends what is left of it."""
    bare = tmp_path / "bare-python"
    bare.write_text(BARE_PYTHON.format(libraries=sysconfig.get_path("purelib"), python=sys.executable))
    bare.chmod(0o755)
    started = list[Submitted]()

    def start(*more: str, conf: str = "spark.app.name=tests") -> Submitted:
        words = ["run", "--target", "cluster", "--lake", tmp_path / "lake", *of(sample), *more]
        command = submission(cluster, *map(str, words), package=package)
        at = command.index("lakehouse.py")
        command[at:at] = ["--conf", conf]
        started.append(Submitted(command, PYSPARK_PYTHON=str(bare), PYTHONPATH=""))
        return started[-1]

    yield start
    for run in started:
        if run.process.poll() is None:
            kill([run.process.pid])
            run.ended()


@pytest.fixture
def lake(tmp_path: Path) -> Lakehouse:
    """The lake of the test."""
    return Lakehouse.open(lake=str(tmp_path / "lake"))


def test_executors_of_a_cluster_make_the_gold_that_sail_makes(
    submit: Submit, on_sail: Lakehouse, lake: Lakehouse, tmp_path: Path
) -> None:
    run = submit()
    assert run.ended() == 0, run.text
    assert list(different(lake, on_sail, GOLD)) == []
    assert [state["engine"] for state in lake.history()] == ["spark"]
    executors = list(tmp_path.glob("app-*/*"))
    assert len(executors) == 2
    for executor in executors:
        sent = {file.name for file in executor.iterdir()}
        assert {"sparkify-lakehouse.zip", "delta-storage-4.4.0.jar"} <= sent


@pytest.mark.slow
def test_a_run_whose_worker_is_killed_completes(
    submit: Submit, cluster: Cluster, on_sail: Lakehouse, lake: Lakehouse
) -> None:
    run = submit(conf="spark.sql.adaptive.enabled=true")  # as conf/cluster.yaml has it
    run.wait_for("silver.songs")
    time.sleep(0.5)  # in the middle of silver.events
    kill([cluster.workers[0].pid])
    assert run.ended() == 0, run.text
    assert cluster.workers[0].poll() == -signal.SIGKILL
    assert list(different(lake, on_sail, GOLD)) == []


@pytest.mark.slow
@pytest.mark.parametrize("last", ["bronze.log_data", "silver.events", "gold.songplays"])
def test_after_a_driver_was_killed_the_next_run_takes_the_batch_in(
    submit: Submit, on_sail: Lakehouse, lake: Lakehouse, last: str
) -> None:
    killed = submit()
    killed.wait_for(last)
    kill([killed.process.pid])
    assert killed.ended() == -signal.SIGKILL
    again = submit()
    assert again.ended() == 0, again.text
    assert "rolled back bronze.log_data" in again.text
    assert [(state["batch_id"], state["engine"]) for state in lake.history()] == [(1, "spark")]
    assert list(different(lake, on_sail, GOLD)) == []


@pytest.mark.slow
def test_executors_of_a_cluster_read_and_write_buckets(
    submit: Submit, on_sail: Lakehouse, sample: Path, s3: S3Server
) -> None:
    """Also where a cluster's settings name a file system that only its own Spark has, as EMR's do."""
    upload(s3.bucket("clustered"), sample / "log_data", "log_data/")
    lake = "s3://clustered/lake"
    run = submit(
        f"--lake={lake}", "--log-data=s3://clustered/log_data",
        f"--set=s3.endpoint={s3.endpoint}", f"--set=s3.region={REGION}",
        conf="spark.hadoop.fs.s3.impl=com.amazon.ws.emr.hadoop.fs.EmrFileSystem",
    )  # fmt: skip
    assert run.ended() == 0, run.text
    assert list(different(Lakehouse.open(lake=lake), on_sail, GOLD)) == []


@pytest.mark.slow
def test_what_spark_submit_was_told_stands(cluster: Cluster, package: Path, tmp_path: Path) -> None:
    asked = tmp_path / "asked.py"
    asked.write_text(
        "from runtime import engine\n"
        "spark = engine.start('spark', confs={'spark.master': 'local[1]', 'spark.executor.memory': '1g',"
        " 'spark.sql.shuffle.partitions': '7', 'spark.sql.adaptive.enabled': 'false'}, partitions=None)\n"
        "conf = spark.spark.sparkContext.getConf()\n"
        "for key in ('spark.master', 'spark.executor.memory', 'spark.sql.shuffle.partitions',"
        " 'spark.sql.adaptive.enabled', 'spark.sql.session.timeZone'):\n"
        "    print(key, conf.get(key))\n"
        "print(spark.partitions)\n"
    )
    command = submission(cluster, package=package)
    command[command.index("lakehouse.py")] = str(asked)
    command[command.index("--executor-memory") + 1] = "600m"
    done = subprocess.run(command, cwd=ROOT, env=submitting(), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"spark.master {cluster.url}",
        "spark.executor.memory 600m",
        "spark.sql.shuffle.partitions 2",
        "spark.sql.adaptive.enabled false",
        "spark.sql.session.timeZone UTC",
        "2",
    ]


@pytest.mark.slow
def test_sail_under_spark_submit_is_refused(cluster: Cluster, package: Path, tmp_path: Path) -> None:
    command = submission(cluster, "plan", "--engine", "sail", "--lake", str(tmp_path / "a"), package=package)
    refused = Submitted(command)  # spark-submit gives a driver's stderr out as stdout
    assert refused.ended() == 2
    assert "sail cannot run under spark-submit" in refused.text
