"""Starting an engine, and what happens when it cannot."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from runtime import engine
from runtime.engine import class_archive, jars, s3a
from runtime.engine.java import INSTALL, JAVA, java_version
from runtime.process.allocator import PURGE_DELAY
from runtime.settings.load import Settings
from tests.support.checkout import ROOT
from tests.support.deliveries import Deliveries, play

pytestmark = pytest.mark.process

INTERRUPTED = """
import os, signal, time
from runtime import engine
first = engine.start("sail", confs={}, partitions=1)
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)
except KeyboardInterrupt:
    pass
while first.is_alive():
    time.sleep(0.05)
print(engine.start("sail", confs={}, partitions=1).spark.range(3).count())
"""
ENDED = """
import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Sail takes it all the same
from runtime import engine
from runtime.errors import EngineError
sail = engine.start("sail", confs={}, partitions=1)
os.kill(os.getpid(), signal.SIGINT)
while sail.is_alive():
    time.sleep(0.05)
try:
    sail.spark.range(3).count()
except EngineError as ended:
    print(ended)
"""
# A query that Sail is at for hours, and cannot leave.
QUERYING = """
import os, signal, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell runs this in the background
from runtime import engine
from runtime.process.exit import leave
sail = engine.start("sail", confs={}, partitions=1)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    sail.spark.sql("select sum(a.id * b.id) from range(10000000) a, range(1000000) b").collect()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    leave(130)
"""
AHEAD = """
import os, sys
from runtime import engine
engine.start("sail", confs={}, partitions=1, ahead=eval(sys.argv[1]))
print(os.environ.get("MIMALLOC_PURGE_DELAY"))
"""


@pytest.mark.parametrize(
    ("ahead", "found", "delay"),
    [
        ("10_000", None, None),
        ("10_000", "0", None),  # as the command line sets it for Arrow
        ("10_000", "50", "50"),
        ("5 * 1024**3", None, "0"),
        ("5 * 1024**3", "50", "50"),
        ("None", None, "0"),
    ],
)
def test_sail_gives_memory_back_at_once_unless_the_process_ends_after_little(
    ahead: str, found: str | None, delay: str | None
) -> None:
    own = {name: value for name, value in os.environ.items() if name != PURGE_DELAY}
    given = own | ({PURGE_DELAY: found} if found else {})
    ended = subprocess.run(
        [sys.executable, "-c", AHEAD, ahead], cwd=ROOT, env=given, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (0, f"{delay}\n")


@pytest.mark.parametrize("once", [True, False])
def test_an_engine_is_started_for_what_a_run_is_known_to_read(
    once: bool,
    open_lake: Callable[..., Lakehouse],
    deliveries: Deliveries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def started(settings: Settings, *, ahead: int | None = None) -> engine.Engine:
        asked.append(ahead)
        return start(settings, ahead=ahead)

    start = engine.started
    monkeypatch.setattr(engine, "started", started)
    sizes = [deliveries.logs(f"{n}.json", [play()]).stat().st_size for n in (1, 2)]
    lake = open_lake("lake", deliveries)
    with monkeypatch.context() as without:
        fewer = {name: table for name, table in Lakehouse.tables.items() if name != "gold.time"}
        without.setattr(Lakehouse, "tables", fewer)
        lake.run(once=once)
    deliveries.logs("3.json", [play(sessionId=2)])
    lake.run(once=once)  # fills gold.time from all that is there
    assert asked == [sum(sizes) if once else None, None]


def test_an_interrupted_notebook_gets_a_new_sail_at_its_next_cell() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (0, "3\n")


def test_a_sail_that_has_ended_is_not_asked_again() -> None:
    code, said, warned = alone(ENDED)
    assert (code, warned) == (0, "")
    assert said.startswith("engine: sail answers no more: it has ended, as it does at a Ctrl-C")


def test_a_query_that_is_interrupted_ends_the_process_in_seconds() -> None:
    assert alone(QUERYING) == (130, "interrupted\n", "")


def alone(body: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a process that does this."""
    ended = subprocess.run([sys.executable, "-c", body], cwd=ROOT, capture_output=True, text=True, timeout=20)
    return ended.returncode, ended.stdout, ended.stderr


def test_without_java_spark_is_one_line_naming_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "song_data").mkdir()
    (tmp_path / "log_data").mkdir()
    (tmp_path / "log_data" / "a.json").write_text("{}")
    hidden = {k: v for k, v in os.environ.items() if k != "JAVA_HOME"} | {"PATH": str(tmp_path)}
    words = [f"--{name.replace('_', '-')}={tmp_path / name}" for name in ("song_data", "log_data", "lake")]
    ended = subprocess.run(
        [sys.executable, str(ROOT / "lakehouse.py"), "run", "--engine", "spark", *words],
        env=hidden, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "Java was not found: install Java 17 or 21" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.engine
@pytest.mark.spark_only
def test_java_has_its_first_compiler_alone_for_a_command_that_brings_little(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    body = (
        "import sys; from runtime import engine\n"
        "spark = engine.start('spark', confs={}, partitions=1, ahead=eval(sys.argv[1])).spark\n"
        "beans = spark.sparkContext._jvm.java.lang.management.ManagementFactory\n"
        "given = list(beans.getRuntimeMXBean().getInputArguments())\n"
        "open(sys.argv[2], 'w').write(str('-XX:TieredStopAtLevel=1' in given))\n"
    )
    for ahead, first_alone in (("10_000", "True"), ("None", "False")):
        subprocess.run([sys.executable, "-c", body, ahead, str(seen)], cwd=ROOT, check=True)
        assert seen.read_text() == first_alone


def test_the_version_of_java_is_read_from_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    for said, found in (('openjdk version "21.0.2" 2024-01-16', 21), ('java version "1.8.0_401"', 8)):
        java.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
        java.chmod(0o755)
        assert java_version() == found
    java.write_text("#!/bin/sh\nexit 1\n")
    assert java_version() is None


WITH_ARCHIVE = """
import sys
from runtime import engine
from runtime.engine.spark import jvm
options = jvm(0) + sys.argv[1]
spark = engine.start("spark", confs={"spark.driver.extraJavaOptions": options}, partitions=1).spark
print(spark.range(3).count())
"""
DELTA_LOADED = re.compile(r"org\.apache\.spark\.sql\.delta\.\S+ source: shared objects file \(top\)")


def test_spark_is_told_of_a_class_archive_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert class_archive.options() == ""
    class_archive.path().write_bytes(b"")
    assert f"-XX:SharedArchiveFile={class_archive.path()} " in class_archive.options()


@pytest.mark.slow
def test_spark_loads_delta_from_the_class_archive_and_does_without_one_it_cannot_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if java_version() not in JAVA:
        pytest.skip(INSTALL)
    found = [*(jars.cached() or jars.resolve()), *s3a.cached()]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for jar in found:
        place = jars.cache_folder().parent / jar.parent.name / jar.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(jar, place)
    class_archive.path().write_bytes(b"no archive")
    assert _counted(class_archive.options()) == "3\n"
    made, log = class_archive.make(), tmp_path / "classes.log"
    assert made == class_archive.path()
    assert _counted(f"{class_archive.options()} -Xlog:class+load:file={log}") == "3\n"
    assert len(DELTA_LOADED.findall(log.read_text())) > 50


def _counted(options: str) -> str:
    command = [sys.executable, "-c", WITH_ARCHIVE, f" {options}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=True).stdout
