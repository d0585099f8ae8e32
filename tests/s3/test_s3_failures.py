"""What a user sees when S3 refuses, goes away, or is slow: an error in time, or a completed run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from runtime.engine import Engine
from tests.support.deliveries import Deliveries, play
from tests.support.s3_commands import (
    PATIENCE,
    Commands,
    Disturbed,
    assert_same_contents,
    first_day,
    on,
    second_day,
)
from tests.support.s3_server import NO_JAVA, S3Server, free_port, java, upload
from tests.support.s3_weather import BadWeather
from tests.support.scenes import in_slow

pytestmark = [pytest.mark.timeout(3 * PATIENCE), pytest.mark.long]


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[S3Server]:
    """A server that a test may kill."""
    if java() is None:
        pytest.skip(NO_JAVA)
    server = S3Server(tmp_path / "own-s3").start()
    yield server
    server.kill()


@pytest.mark.parametrize(
    ("command", "environ", "words"),
    [
        ("run", {"AWS_SECRET_ACCESS_KEY": "wrong"}, ["the secret access key is wrong", "~/.aws"]),
        ("status", {"AWS_SECRET_ACCESS_KEY": "wrong"}, ["the secret access key is wrong"]),
        ("run", {"AWS_ACCESS_KEY_ID": "nobody"}, ["the access key id is not known there"]),
        ("run", {"AWS_ACCESS_KEY_ID": ""}, ["AWS_ACCESS_KEY_ID is not"]),
        ("run", {"LAKEHOUSE_LAKE": "s3://absent/lake"}, ["s3://absent/lake", "no such bucket"]),
        ("status", {"LAKEHOUSE_LAKE": "s3://absent/lake"}, ["s3://absent/lake", "no such bucket"]),
        ("plan", {"LAKEHOUSE_LOG_DATA": "s3://absent/logs"}, ["s3://absent/logs", "no such bucket"]),
        ("run", {"LAKEHOUSE_S3__ENDPOINT": "down"}, ["nothing answers there", "s3.endpoint"]),
        ("query", {"LAKEHOUSE_S3__ENDPOINT": "down"}, ["nothing answers there"]),
    ],
)
def test_a_refusal_is_one_paragraph_in_time(
    s3_server: S3Server, deliveries: Deliveries, command: str, environ: dict[str, str], words: list[str]
) -> None:
    first_day(deliveries)
    s3_server.bucket("refused")
    if environ.get("LAKEHOUSE_S3__ENDPOINT") == "down":
        environ = {"LAKEHOUSE_S3__ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    given = {
        "LAKEHOUSE_LAKE": "s3://refused/lake",
        "LAKEHOUSE_SONG_DATA": str(deliveries.song_data),
        "LAKEHOUSE_LOG_DATA": str(deliveries.log_data),
        **environ,
    }
    asked = [command, "select 1"] if command == "query" else [command]
    Commands(s3_server, "sail", []).run(*asked, **given).assert_refused(*words)


def test_a_server_that_may_only_be_read_refuses_a_run_and_not_a_plan(
    tmp_path: Path, deliveries: Deliveries
) -> None:
    if java() is None:
        pytest.skip(NO_JAVA)
    server = S3Server(tmp_path / "read-only", read_only=True).start()
    try:
        first_day(deliveries)
        commands = on(server, "sail", deliveries)
        commands.run("run").assert_refused("s3://lakes/lake", "it may be read-only", "Name a place")
        assert commands.run("plan").code == 0
    finally:
        server.kill()


def test_credentials_that_may_not_write_are_told_so_and_may_plan(
    s3: S3Server, deliveries: Deliveries
) -> None:
    first_day(deliveries)
    commands = on(s3, "sail", deliveries, "not-ours")
    with BadWeather(s3.endpoint, refused=0, delay=0, denied=("PUT", "POST", "DELETE")) as denying:
        reached = {"LAKEHOUSE_S3__ENDPOINT": denying.endpoint}
        refused = commands.run("run", **reached)
        refused.assert_refused("s3://not-ours/lake", "access is denied", "write where the lake is")
        assert commands.run("plan", **reached).code == 0


# Before the engine starts, while it reads and writes, and at the commit that publishes.
BOUNDARIES = (
    "before Store.create#3",
    "before BatchContext.append#2",
    "before BatchContext.merge#1",
    "before Owner.commit#3",
)


@pytest.mark.engine
@pytest.mark.long_on_spark
@pytest.mark.parametrize("where", in_slow(*BOUNDARIES, but="before BatchContext.append#2"))
def test_a_run_whose_server_is_killed_ends_in_time_and_the_next_one_is_right(
    own_server: S3Server,
    engine: Engine,
    deliveries: Deliveries,
    assert_the_next_run_is_right: Callable[[], None],
    where: str,
) -> None:
    run = paused_at(where, on(own_server, engine.name, deliveries), deliveries)
    own_server.kill()
    run.go_on().assert_refused("s3://lakes/lake", "nothing answers there")
    assert_the_next_run_is_right()


@pytest.mark.engine
@pytest.mark.long_on_spark
@pytest.mark.parametrize("where", in_slow(*BOUNDARIES, but="before BatchContext.merge#1"))
def test_a_run_whose_server_answers_no_more_ends_with_its_lease_and_the_next_one_is_right(
    own_server: S3Server,
    engine: Engine,
    deliveries: Deliveries,
    assert_the_next_run_is_right: Callable[[], None],
    where: str,
) -> None:
    """The engines' own clients would ask again for minutes."""
    commands = on(own_server, engine.name, deliveries)
    run = paused_at(where, commands, deliveries, "--set=lease_seconds=10")
    own_server.freeze()
    run.go_on().assert_refused("s3://lakes/lake", "For 10 s the lease could not be renewed")
    own_server.kill()
    assert_the_next_run_is_right()


def paused_at(where: str, commands: Commands, deliveries: Deliveries, *more: str) -> Disturbed:
    """A run that waits at a boundary: of a first one, or of a second one, which has rows to merge."""
    first_day(deliveries)
    if where != BOUNDARIES[0]:
        assert commands.run("run").code == 0
        second_day(deliveries)
    run = commands.start("run", *more, where=where)
    run.wait_until_paused()
    return run


@pytest.fixture
def assert_the_next_run_is_right(
    own_server: S3Server,
    engine: Engine,
    deliveries: Deliveries,
    open_lake: Callable[..., Lakehouse],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[], None]:
    """Starts the server again: a run then gives what one on disk gives."""

    def assert_right() -> None:
        own_server.start()
        ended = on(own_server, engine.name, deliveries).run("run")
        assert ended.code == 0, ended.err
        on_disk = open_lake("disk", deliveries)
        on_disk.run()
        for name, value in own_server.environment().items():
            monkeypatch.setenv(name, value)
        assert_same_contents(Lakehouse.open(lake="s3://lakes/lake"), on_disk)

    return assert_right


@pytest.mark.engine
@pytest.mark.slow
def test_a_run_outlives_a_restart_of_its_server(
    own_server: S3Server, engine: Engine, deliveries: Deliveries
) -> None:
    commands = on(own_server, engine.name, deliveries)
    first_day(deliveries)
    run = commands.start("run", where="before BatchContext.append#2")
    run.wait_until_paused()
    own_server.kill()
    own_server.start()
    ended = run.go_on()
    assert ended.code == 0, ended.err


@pytest.mark.engine
@pytest.mark.parametrize(
    "days", [pytest.param(1, marks=pytest.mark.long_on_spark), pytest.param(6, marks=pytest.mark.slow)]
)
def test_a_slow_server_that_refuses_one_request_in_twenty_is_put_up_with(
    s3: S3Server,
    engine: Engine,
    deliveries: Deliveries,
    open_lake: Callable[..., Lakehouse],
    days: int,
) -> None:
    bucket = f"weather-{days}"
    commands = on(s3, engine.name, deliveries, bucket)
    first_day(deliveries)
    with BadWeather(s3.endpoint) as weather:
        for day in range(2, 2 + days):
            upload(s3.bucket(bucket), deliveries.log_data, "logs/")
            ended = commands.run(
                "run",
                LAKEHOUSE_S3__ENDPOINT=weather.endpoint,
                LAKEHOUSE_LOG_DATA=f"s3://{bucket}/logs",
            )
            assert ended.code == 0, ended.err
            deliveries.logs(
                f"{day}.json", [play(f"2018-11-{day:02} 12:00:00", sessionId=day, userId=str(day))]
            )
        upload(s3.bucket(bucket), deliveries.log_data, "logs/")
        assert weather.refusals > 0
    assert commands.run("run", LAKEHOUSE_LOG_DATA=f"s3://{bucket}/logs").code == 0
    on_disk = open_lake("disk", deliveries)
    on_disk.run()
    assert_same_contents(Lakehouse.open(lake=f"s3://{bucket}/lake"), on_disk)
