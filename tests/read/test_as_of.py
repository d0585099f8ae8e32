"""The lake as of any batch: all layers, any reading statement, the same answers from whoever executes it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy
import pandas
import pytest

from lakehouse import Lakehouse
from runtime.cli import main
from runtime.engine import Engine
from runtime.errors import LakehouseError, UsageError
from runtime.ledger.facts import Facts, State
from runtime.ledger.history import instant, state_at
from runtime.read.engine_query import run_on_engine
from runtime.read.snapshot import Snapshot
from tests.support.checkout import ROOT
from tests.support.deliveries import Deliveries, event, play, song

pytestmark = pytest.mark.engine
OpenLake = Callable[..., Lakehouse]
BATCHES = 55

# One statement over all three layers: it is right only if all tables are of one snapshot.
ALL_LAYERS = """
    with plays as (select songplay_id, user_id from gold.songplays)
    select count(*) as plays,
           count(distinct p.user_id) as listeners,
           cast(sum(case when u.level = 'paid' then 1 else 0 end) as bigint) as by_paid_users,
           (select count(*) from bronze.log_data) as delivered
    from plays p
    join gold.users u on p.user_id = u.user_id
    join silver.events e on e.event_id = p.songplay_id
"""


def deliver(sources: Deliveries, number: int) -> None:
    """File `number`: a play of user `number`, and user 1 changes plan."""
    at = f"2018-11-{1 + number // 24:02} {number % 24:02}"
    level = "paid" if number % 2 else "free"
    first = event(f"{at}:00:00", userId="1", sessionId=1, itemInSession=number, level=level)
    listened = play(f"{at}:30:00", userId=str(number), sessionId=100 + number, level=level)
    sources.logs(f"{number:03}.json", [first, listened])


def expected(batch: int) -> dict[str, Any]:
    """The answer to ALL_LAYERS as of a batch. User 1 played once, and is on the plan of the newest file."""
    paid = sum(n % 2 for n in range(2, batch + 1)) + batch % 2
    return {"plays": batch, "listeners": batch, "by_paid_users": paid, "delivered": 2 * batch}


def answers(snapshot: Snapshot, engine: Engine, statement: str) -> list[list[dict[str, Any]]]:
    """What DuckDB says, and what the engine of this session says."""
    return [snapshot.sql(statement).to_pylist(), run_on_engine(snapshot, engine, statement).to_pylist()]


@pytest.fixture
def two_batches(open_lake: OpenLake, engine: Engine, deliveries: Deliveries) -> Lakehouse:
    lake = open_lake("lake", deliveries)
    for number in (1, 2):
        deliver(deliveries, number)
        lake.run()
    return lake


def test_every_batch_answers_over_all_layers_as_it_was(two_batches: Lakehouse, engine: Engine) -> None:
    for batch in (1, 2):
        assert answers(two_batches.at(batch=batch), engine, ALL_LAYERS) == [[expected(batch)]] * 2


@pytest.mark.long_on_spark
def test_a_time_means_the_last_state_published_at_or_before_it(two_batches: Lakehouse) -> None:
    first, second = (instant(state["at"]) for state in two_batches.history())
    tick = timedelta(microseconds=1)
    for at, batch in ((first, 1), (second - tick, 1), (second, 2), (second + timedelta(days=9), 2)):
        assert two_batches.at(as_of=at).batch_id == batch
        assert two_batches.at(as_of=at.isoformat()).batch_id == batch
        assert two_batches.at(as_of=at.replace(tzinfo=None).isoformat(sep=" ")).batch_id == batch  # UTC
    with pytest.raises(
        UsageError, match=r"Nothing was published at or before .* the first state, batch 1, was"
    ):
        two_batches.at(as_of=first - tick)


def test_a_time_as_history_prints_it_selects_the_batch_it_stands_beside(
    open_lake: OpenLake, deliveries: Deliveries, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = open_lake("lake", deliveries)
    deliver(deliveries, 1)
    lake.run()
    for label in ("2", "3"):
        if label == "2":
            deliver(deliveries, 2)
        else:
            rmtree(deliveries.log_data)
            deliver(deliveries, 3)
        lake.run()
        lake.optimize()
    assert main(["history", "--lake", lake.settings.lake]) == 0
    found = [re.match(r"\s+(\d+)  \w+ +(\S+ \S+)", line) for line in capsys.readouterr().out.splitlines()]
    printed = {int(line[1]): line[2] for line in found if line}
    assert len(printed) == len(lake.history())
    for batch, at in printed.items():
        assert lake.at(as_of=at).batch_id == batch


def test_a_time_includes_all_of_its_last_digit_in_every_form_it_is_given_in() -> None:
    states = {
        batch: State(batch, "run", None, f"2026-11-30T20:39:{second}+00:00", {})
        for batch, second in ((1, "36.200300"), (2, "38.500700"), (3, "38.500900"), (4, "59.000000"))
    }
    known = Facts({}, tuple(states.values()), {})
    for at, batch in (
        ("2026-11-30 20:39:36", 1),
        ("2026-11-30T20:39:37", 1),
        ("2026-11-30 20:39:38", 3),
        ("2026-11-30 20:39:38.500", 3),
        ("2026-11-30 20:39:38.5008", 2),
        ("2026-11-30 20:39:38.000", 1),
        ("2026-11-30T22:39:36+02:00", 1),
        ("2026-12-01", 4),
        (date(2026, 12, 1), 4),
        (datetime(2026, 11, 30, 20, 39, 38), 3),  # noqa: DTZ001
        (datetime(2026, 11, 30, 20, 39, 38, 500_700, UTC), 2),
        (numpy.datetime64("2026-11-30T20:39:38"), 3),
        (numpy.datetime64("2026-11-30T20:39:38.500700123", "ns"), 2),
        (pandas.Timestamp("2026-11-30T21:39:38+0100"), 3),
        (pandas.Timestamp("2026-11-30 20:39:38.500700001"), 2),
    ):
        assert state_at(known, at).batch_id == batch, at
    for early in ("2026-11-30 20:39:35", "2026-11-30T21:39:35+01:00"):
        with pytest.raises(UsageError, match=r"before 2026-11-30 20:39:35 UTC: .* 2026-11-30 20:39:36\.2003"):
            state_at(known, early)
    for wrong in (
        "soon", "", 20261130, 1.5, True, pandas.NaT, numpy.datetime64("NaT"), time(),
        "0001-01-01T00:00+05:00", numpy.datetime64(10**9, "Y"), timedelta(1), b"2026-11-30",
    ):  # fmt: skip
        with pytest.raises(UsageError, match="is no time"):
            state_at(known, wrong)


@pytest.mark.long_on_spark
def test_any_statement_that_reads_may_be_asked_as_of_a_batch(two_batches: Lakehouse, engine: Engine) -> None:
    first = two_batches.at(batch=1)
    assert "gold.user_levels" in [row["name"] for row in first.sql("show tables").to_pylist()]
    assert answers(first, engine, "SHOW TABLES;")[0] == answers(first, engine, "show tables")[1]
    described = answers(first, engine, "describe gold.users")
    names = list(two_batches.tables["gold.users"].column_names)
    assert [[next(iter(row.values())) for row in rows] for rows in described] == [names, names]
    summarized = first.sql("summarize gold.users").to_pylist()
    assert {row["column_name"]: row["count"] for row in summarized}["user_id"] == 1
    for statement in ("explain select * from gold.users", "explain with u as (from gold.users) from u"):
        assert first.sql(statement).num_rows == 1
    assert run_on_engine(first, engine, "explain extended select * from gold.users").num_rows == 1
    assert run_on_engine(first, engine, "describe select level as plan from gold.users").to_pylist() == [
        {"col_name": "plan", "data_type": "string"}
    ]
    assert first.sql("from gold.users select user_id").to_pylist() == [{"user_id": 1}]
    assert first.sql("values (1)").num_rows == 1
    for statement in ("explain drop table gold.users", "describe parquet.`/etc`", "explain explain select 1"):
        with pytest.raises(UsageError):
            run_on_engine(first, engine, statement)


@pytest.mark.long_on_spark
def test_a_query_opens_the_tables_it_names_and_no_other(two_batches: Lakehouse) -> None:
    now = two_batches.at()
    rmtree(Path(two_batches.settings.lake) / "gold" / "time")
    joined = """
        with time as (from gold.songplays) select count(*) n from time join GOLD.Users u using (user_id)
        where exists (from "silver"."events")
    """
    assert now.sql(joined).to_pylist() == [{"n": 2}]
    assert now.sql("explain analyze from gold.users").num_rows == 1
    for statement in ("select count(*) from gold.time", "show all tables"):
        with pytest.raises(LakehouseError, match=r"gold.time cannot be opened"):
            now.sql(statement)


@pytest.mark.slow
@pytest.mark.timeout(900)  # 55 batches
def test_past_fifty_batches_every_one_answers_as_it_was(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    deliveries.songs("song.json", [song()])
    for number in range(1, BATCHES + 1):
        deliver(deliveries, number)
    take_in_one_by_one(lake)
    assert lake.status()["batch_id"] == BATCHES
    for batch in (*range(1, BATCHES, 7), 51, BATCHES):
        assert lake.at(batch=batch).sql(ALL_LAYERS).to_pylist() == [expected(batch)]
    for batch in (1, 26, 50, 51, BATCHES):
        assert run_on_engine(lake.at(batch=batch), engine, ALL_LAYERS).to_pylist() == [expected(batch)]


def take_in_one_by_one(lake: Lakehouse) -> None:
    """A batch for each log file, on Sail in a process of its own: that is the quicker engine for it."""
    given = lake.settings
    command = [
        sys.executable, str(ROOT / "lakehouse.py"), "run", "--engine=sail", f"--lake={given.lake}",
        f"--song-data={given.song_data}", f"--log-data={given.log_data}", "--set=batch_bytes=1000",
        "--set=compact_after=0", "--quiet",
    ]  # fmt: skip
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
