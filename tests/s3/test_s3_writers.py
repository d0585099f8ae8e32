"""One writer at a time in a bucket: commits are conditional PUTs, and the lease stands on them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from lakehouse import Lakehouse
from runtime.engine import Engine
from runtime.ledger.lease import is_held
from runtime.ledger.ledger import Ledger
from runtime.s3.config import Access
from tests.support.checkout import ROOT
from tests.support.deliveries import Deliveries
from tests.support.s3_commands import PATIENCE, Commands, assert_same_contents, first_day, on, second_day
from tests.support.s3_server import REGION, S3Server
from tests.support.scenes import in_slow

pytestmark = pytest.mark.long

WHEREVER = (
    "before BatchContext.append#1",
    "after BatchContext.append#2",
    "before TableVersions.check#1",
    "before Owner.commit#3",
)
# Publishes the next batch, again and again; every other round it first takes the lease by force. Says
# which batches it was told are published.
RACER = """
import json, sys
from runtime.errors import Fenced, LeaseHeld
from runtime.ledger.lease import claim, take_away
from runtime.ledger.ledger import Ledger; from runtime.ledger.facts import State, now, state_row
from runtime.s3.config import Access

uri, endpoint, region, me, rounds = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
published, fenced, held = [], 0, 0
for number in range(int(rounds)):
    ledger = Ledger(uri, Access(endpoint, region))
    try:
        if number % 2:
            take_away(ledger, force=True)
        with claim(ledger, "race", 60) as owner:
            batch = owner.ledger.contents().next_batch_id
            state = State(batch, "run", None, now().isoformat(), {}, engine=f"{me}-{number}")
            owner.commit([state_row(state)])
            published.append([batch, state.engine])
    except LeaseHeld:
        held += 1
    except Fenced:
        fenced += 1
print(json.dumps({"published": published, "fenced": fenced, "held": held}), flush=True)
"""


@pytest.mark.parametrize(
    ("processes", "rounds"),
    [(3, 6), pytest.param(8, 50, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])],
)
def test_of_many_publishers_of_a_batch_one_is_told_that_it_did(
    s3: S3Server, processes: int, rounds: int
) -> None:
    s3.bucket(f"race-{processes}")
    uri = f"s3://race-{processes}/lake/_ledger"
    access = Access(s3.endpoint, REGION)
    Ledger(uri, access).create()
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, uri, s3.endpoint, REGION, str(number), str(rounds)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(processes)
    ]  # fmt: skip
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    answers = [racer.communicate("go\n")[0] for racer in starting_together(racers)]
    assert [racer.returncode for racer in racers] == [0] * processes
    said = [json.loads(answer) for answer in answers]
    acknowledged = sorted(tuple(one) for answer in said for one in answer["published"])
    stored = sorted((s.batch_id, s.engine) for s in Ledger(uri, access).contents().states)
    assert stored == acknowledged
    assert [batch for batch, _ in stored] == list(range(1, len(stored) + 1))
    assert sum(answer["fenced"] + answer["held"] for answer in said) + len(stored) == processes * rounds
    assert sum(answer["fenced"] + answer["held"] for answer in said) > 0


def starting_together(racers: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    return racers


@pytest.mark.engine
@pytest.mark.long_on_spark
@pytest.mark.timeout(4 * PATIENCE)
@pytest.mark.parametrize("where", in_slow(*WHEREVER, but="after BatchContext.append#2"))
def test_a_run_paused_past_its_lease_in_a_bucket_publishes_nothing_and_is_rolled_back(
    s3: S3Server, engine: Engine, deliveries: Deliveries, open_lake: Callable[..., Lakehouse], where: str
) -> None:
    commands = on(s3, engine.name, deliveries, f"paused-{len(where)}-{where[-1]}")
    first_day(deliveries)
    assert commands.run("run").code == 0
    second_day(deliveries)
    paused = commands.start("run", "--set=lease_seconds=2", where=where)
    paused.wait_until_paused()
    wait_until_free(commands)
    assert commands.run("run").code == 0
    lake, on_disk = Lakehouse.open(lake=commands.lake), open_lake("disk", deliveries)
    on_disk.run()
    assert_same_contents(lake, on_disk)
    ended = paused.go_on()
    assert ended.code == 3, ended.err
    assert "took over the lease" in ended.err or "someone else wrote to it" in ended.err
    assert_same_contents(lake, on_disk)
    assert commands.run("run").code == 0
    assert commands.run("plan", "--check").code == 0
    assert_same_contents(lake, on_disk)
    assert len(lake.history()) == 2


def wait_until_free(commands: Commands) -> None:
    access = Access(commands.server.endpoint, REGION)
    while is_held(Ledger(f"{commands.lake}/_ledger", access).lease()):
        time.sleep(0.1)


# Appends texts to one table through Spark; without a ledger as two jobs that know nothing of each other.
APPENDER = """
import sys, time
from contextlib import nullcontext
from runtime import engine
from runtime.errors import LeaseHeld
from runtime.ledger.lease import claim
from runtime.ledger.ledger import Ledger
from runtime.s3.config import Access

uri, ledger, endpoint, region, me, times = sys.argv[1:]
access = Access(endpoint, region)
spark = engine.start("spark", confs={}, partitions=1, s3=access).spark

def append(text):
    row = spark.createDataFrame([(text,)], "who string").coalesce(1)
    row.write.format("delta").mode("append").save(uri)

def in_turn(text):
    while True:
        try:
            with claim(Ledger(ledger, access), "append", 60) if ledger else nullcontext():
                return append(text)
        except LeaseHeld:
            time.sleep(0.05)

print("ready", flush=True)
sys.stdin.readline()
for number in range(int(times)):
    try:
        in_turn(f"{me}-{number}")
        print(f"{me}-{number}", flush=True)
    except Exception as error:
        print(f"refused {type(error).__name__}", flush=True)
"""
Append = Callable[[str, str, int], tuple[set[str], set[str]]]


@pytest.fixture
def appended(s3: S3Server, engine: Engine) -> Append:
    """Two Sparks append to a new table; gives what they were told is done, and what is there."""

    def appended(bucket: str, ledger: str, times: int) -> tuple[set[str], set[str]]:
        s3.bucket(bucket)
        uri = f"s3://{bucket}/texts"
        engine.reach(Access(s3.endpoint, REGION))
        engine.spark.createDataFrame([("first",)], "who string").write.format("delta").save(uri)
        appenders = [
            subprocess.Popen(
                [
                    sys.executable, "-c", APPENDER,
                    uri, ledger, s3.endpoint, REGION, str(number), str(times),
                ],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                text=True,
            )
            for number in range(2)
        ]  # fmt: skip
        for appender in appenders:
            assert appender.stdout is not None
            assert appender.stdout.readline() == "ready\n"
        said = [appender.communicate()[0] for appender in starting_together(appenders)]
        told = {w for text in said for w in text.split("\n") if w and not w.startswith("refused")}
        there = {row["who"] for row in engine.read(uri).toArrow().to_pylist()}
        return told, there - {"first"}

    return appended


@pytest.mark.engine
@pytest.mark.spark_only
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_sparks_without_a_lease_lose_commits_they_were_told_are_done(appended: Append) -> None:
    """Not ours to mend, and why there is a lease: Delta's log store for S3 looks, then writes."""
    told, there = appended("unguarded", "", 60)  # 9 of them were lost in a trial
    assert told - there


@pytest.mark.engine
@pytest.mark.spark_only
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_sparks_that_take_the_lease_in_turn_lose_none(appended: Append) -> None:
    told, there = appended("guarded", "s3://guarded/_ledger", 15)
    assert told == there
    assert len(told) == 2 * 15
