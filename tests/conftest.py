"""Fixtures: one engine a session, lakes in temporary folders, the real data where it is."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import hypothesis
import pytest
from pyspark.sql import SparkSession

import lakehouse
from runtime import engine as engines
from runtime.engine import Engine
from runtime.engine.java import INSTALL, JAVA, java_version
from runtime.s3.config import AWS
from runtime.sample import write_sample
from tests.support.deliveries import Deliveries
from tests.support.s3_server import CREDENTIALS, NO_JAVA, S3Server, java
from tests.support.scenes import SCENES, OnStage, Stage

os.environ["TZ"] = "Pacific/Auckland"  # a zone far from UTC: nothing may depend on the machine's
time.tzset()
# Only the tests' own S3 server is asked for anything. A JVM sees what is set when it starts, so now.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ.update(CREDENTIALS)
hypothesis.settings.register_profile("any machine", deadline=None)  # a busy one is no failure
hypothesis.settings.load_profile("any machine")


NOT_QUICK = ("engine", "long", "process", "slow")
# Fixtures that start an engine or a process, here and in test modules.
STARTING = {"engine", "spark", "dirty_lake", "on_stage", "s3_server"}
# Those of them that take long: servers, a browser, processes that are killed, a disk of its own.
LONG = {"on_stage", "s3_server", "own_server", "server", "browser", "cluster", "package", "outputs", "disk"}
STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn"}  # events of Python's audit hooks


def fixtures(item: pytest.Item) -> Sequence[str]:
    """The fixtures of a test, those included that its fixtures use."""
    return item.fixturenames if isinstance(item, pytest.Function) else ()


def pytest_configure(config: pytest.Config) -> None:
    """`make quick` fails a test that starts an engine or a process."""
    if config.option.markexpr == "quick":
        sys.addaudithook(refuse_to_start)


def refuse_to_start(event: str, arguments: tuple[object, ...]) -> None:
    """Fail the running test, if there is one, when it starts something."""
    is_engine = event == "import" and str(arguments[0]).startswith("pysail")
    if "PYTEST_CURRENT_TEST" in os.environ and (is_engine or event in STARTS):
        raise RuntimeError("A quick test starts no engine and no process: mark this one `process`.")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engine", choices=("sail", "spark"), default="sail")
    parser.addoption("--all", action="store_true", help="on Spark, run what takes minutes, too")


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marker
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What compares Spark with Sail belongs to Spark; what takes Spark minutes, to `make test-all`."""
    for item in items:
        if not LONG.isdisjoint(fixtures(item)):
            item.add_marker("long")
        if not any(map(item.get_closest_marker, NOT_QUICK)) and STARTING.isdisjoint(fixtures(item)):
            item.add_marker("quick")
    on_sail = config.getoption("--engine") == "sail"
    absent = "spark_only" if on_sail else "" if config.getoption("--all") else "long_on_spark"
    apart = [item for item in items if item.get_closest_marker(absent)] if absent else []
    config.hook.pytest_deselected(items=apart)
    items[:] = [item for item in items if item not in apart]


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: a test waits for processes and servers more than it computes."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """With LAKEHOUSE_NO_SKIPS=1 a skipped test fails: CI must not pass by leaving tests out."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.skipped and os.environ.get("LAKEHOUSE_NO_SKIPS") == "1" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which LAKEHOUSE_NO_SKIPS=1 forbids: {report.longrepr}"


@pytest.fixture(scope="session")
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--engine"))


@pytest.fixture(scope="session")
def engine(engine_name: str) -> Engine:
    """The running engine of this session."""
    if engine_name == "spark" and java_version() not in JAVA:
        pytest.skip(f"Spark needs Java 17 or 21: {INSTALL}")
    # Sail gives no memory back then, which takes a tenth of its time; Spark needs its second compiler.
    ahead = 0 if engine_name == "sail" else None
    return engines.start(engine_name, confs={}, partitions=2, s3=AWS, ahead=ahead)


@pytest.fixture(scope="session")
def spark(engine: Engine) -> SparkSession:
    """The session of the running engine."""
    return engine.spark


@pytest.fixture
def deliveries(tmp_path: Path) -> Deliveries:
    """Empty source folders to deliver files to."""
    return Deliveries(tmp_path / "sources")


@pytest.fixture
def open_lake(tmp_path: Path, engine_name: str) -> Callable[..., lakehouse.Lakehouse]:
    """Opens a lake by name on given sources: `open_lake("a", deliveries, batch_bytes=1000)`."""

    def opened(name: str, sources: Deliveries, **settings: object) -> lakehouse.Lakehouse:
        return sources.lake(tmp_path / name, engine_name, **settings)

    return opened


@pytest.fixture(scope="session")
def dirty_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sample data with every kind of dirt, and its truth.json."""
    out = tmp_path_factory.mktemp("dirty") / "sample"
    write_sample(out, events=1_500, songs=120, days=6, seed=7, dirty=True)
    return out


@pytest.fixture(scope="session")
def dirty_lake(
    engine: Engine, engine_name: str, dirty_sample: Path, tmp_path_factory: pytest.TempPathFactory
) -> lakehouse.Lakehouse:
    """A lake of the whole dirty sample, taken in by one run. Not to be written to."""
    lake = lakehouse.Lakehouse.open(
        lake=str(tmp_path_factory.mktemp("dirty") / "lake"),
        song_data=str(dirty_sample / "song_data"),
        log_data=str(dirty_sample / "log_data"),
        engine=engine_name,
    )
    lake.run()
    return lake


@pytest.fixture(scope="session")
def on_stage(engine_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnStage]:
    """A scene by name, set up once: a lake about to be disturbed, in processes of its own."""
    stages = dict[str, Stage]()

    def on_stage(name: str) -> Stage:
        if name not in stages:
            stages[name] = Stage(SCENES[name], engine_name, tmp_path_factory.mktemp("stage"))
        return stages[name]

    yield on_stage
    for stage in stages.values():
        stage.close()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder SPARKIFY_DATA names."""
    folder = os.environ.get("SPARKIFY_DATA")
    if not folder:
        pytest.skip("SPARKIFY_DATA names no folder with song_data and log_data of the real data")
    return Path(folder)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server for the whole session. Tests that kill one start their own."""
    if java() is None:
        pytest.skip(NO_JAVA)
    server = S3Server(tmp_path_factory.mktemp("s3")).start()
    yield server
    server.kill()


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The session's server, which every lake and source in a bucket is then looked for at."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return s3_server
