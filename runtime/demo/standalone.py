"""A local Spark cluster: the standalone master and workers that PySpark ships.

It shows the behaviour of a cluster: executors are separate processes, which can be killed. It listens on
127.0.0.1 only.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from runtime.errors import EngineError

LOOPBACK = "127.0.0.1"
PATIENCE = 180.0  # seconds for a process to start: 4 on an idle machine
# A JVM that lives for a minute gains nothing from its second compiler, which takes half of the CPU, nor from
# verifying the classes of Spark's jars.
SHORT = (
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
)
MASTER_IS_UP = re.compile(r"Starting Spark master at (spark://\S+)")
WORKER_IS_UP = re.compile(r"Successfully registered with master")


@dataclass(frozen=True)
class Cluster:
    """A running cluster: its URL for `--master`, and its processes."""

    url: str
    master: subprocess.Popen[bytes]
    workers: Sequence[subprocess.Popen[bytes]]


@contextmanager
def running(folder: Path, *, workers: int = 2, cores: int = 1, memory: str = "1g") -> Iterator[Cluster]:
    """A master and workers with these cores and this memory each, stopped after the block.

    Their logs and work files are in `folder`. Raises EngineError when one does not start.
    """
    started = list[subprocess.Popen[bytes]]()
    try:
        master = ["master.Master", "--host", LOOPBACK, "--port", "0", "--webui-port", "0"]
        started.append(_start(master, folder, "master"))
        url = _wait(started[0], folder / "master.log", MASTER_IS_UP)
        for number in range(workers):
            worker = ["worker.Worker", "--host", LOOPBACK, "--webui-port", "0", "--work-dir", str(folder)]
            size = ["--cores", str(cores), "--memory", memory, url]
            started.append(_start([*worker, *size], folder, f"worker-{number}"))
        for number, process in enumerate(started[1:]):
            _wait(process, folder / f"worker-{number}.log", WORKER_IS_UP)
        yield Cluster(url, started[0], started[1:])
    finally:
        for process in reversed(started):  # workers first: each ends its executors
            process.terminate()
        for process in started:
            process.wait()


def spark_program(name: str) -> Path:
    """The path of a program of the installed PySpark, such as `spark-submit`."""
    package = find_spec("pyspark")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "bin" / name


def _start(words: Sequence[str], folder: Path, name: str) -> subprocess.Popen[bytes]:
    ours = {"SPARK_LOCAL_IP": LOOPBACK, "SPARK_LOCAL_DIRS": str(folder), "SPARK_DAEMON_JAVA_OPTS": SHORT}
    environment = {**os.environ, **ours, "SPARK_DAEMON_MEMORY": "256m"}
    environment.pop("SPARK_HOME", None)  # may be another version of Spark
    program, *options = words
    command = [str(spark_program("spark-class")), f"org.apache.spark.deploy.{program}", *options]
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)


def _wait(process: subprocess.Popen[bytes], log: Path, is_up: re.Pattern[str]) -> str:
    """Wait for a log line that matches `is_up`; returns its last group, or the match."""
    begun = time.monotonic()
    while time.monotonic() - begun < PATIENCE and process.poll() is None:
        if match := is_up.search(log.read_text(errors="replace")):
            return match[match.re.groups]
        time.sleep(0.1)
    last = log.read_text(errors="replace").strip().rpartition("\n")[2]
    raise EngineError(f"cluster: {log.stem} did not start within {PATIENCE:.0f} s: {last} See {log}.")
