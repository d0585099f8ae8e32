"""A file that returns to an older content: its records win again, and traces and counts agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gold
from lakehouse import Lakehouse
from runtime.engine import Engine
from runtime.read.keys import key_text
from runtime.read.trace.records import records_of
from runtime.read.trace.rows import key_of
from runtime.sources.listing import Listed
from tests.run.test_any_cut import prop, shop
from tests.support.comparing import DERIVED, assert_same_tables, rows
from tests.support.deliveries import Deliveries, play

pytestmark = [pytest.mark.engine, pytest.mark.long_on_spark]
OpenLake = Callable[..., Lakehouse]
LOST = ("duplicate", "superseded")
PLACES = "select session_id as s, location as l, _delivery as d from silver.events order by 1"


def counts(lake: Lakehouse) -> dict[str, int]:
    """The counts of one run."""
    (state,) = lake.run().states
    assert state.records["delivered"] == sum(n for name, n in state.records.items() if name != "delivered")
    return {name: n for name, n in state.records.items() if n and name != "delivered"}


def outcomes(lake: Lakehouse) -> Counter[tuple[str, int, int]]:
    """Outcome, delivery and line of every record that a key in silver has."""
    table = gold.TABLES["silver.events"]
    keys = [key_text(key_of(table, row)) for row in lake.table(table.name).arrow().to_pylist()]
    found = records_of(lake.at(), table, keys)
    return Counter((r.outcome, r.delivery, r.line) for records in found.values() for r in records)


def assert_equals_a_rebuild(lake: Lakehouse) -> None:
    """Nothing differs from what bronze makes, and a full refresh says so too."""
    before = rows(lake, PLACES)
    assert lake.verify().ok
    lake.run(full_refresh=True)
    assert [(r["s"], r["l"]) for r in rows(lake, PLACES)] == [(r["s"], r["l"]) for r in before]


def test_a_bad_export_replaced_by_the_good_file_leaves_gold(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    good, bad = play(location="Right"), play(location="WRONG")
    kept = play("2018-11-02 11:00:00", sessionId=3)
    for records in ([kept, good], [kept, bad], [kept, good]):
        deliveries.logs("day.json", records)
        lake.run()
    assert rows(lake, PLACES) == [{"s": 1, "l": "Right", "d": 3}, {"s": 3, "l": "London", "d": 1}]
    deliveries.logs("day.json", [kept, good, play("2018-11-02 12:00:00", sessionId=2)])
    assert counts(lake) == {"accepted": 1, "duplicate": 2}
    in_gold = "select location from gold.songplays where session_id = 1"
    assert rows(lake, in_gold) == [{"location": "Right"}]
    assert outcomes(lake) == Counter(
        [
            *[("duplicate", 1, 2), ("superseded", 2, 2), ("winner", 3, 2), ("duplicate", 4, 2)],
            *[("winner", 1, 1), *(("duplicate", n, 1) for n in (2, 3, 4)), ("winner", 4, 3)],
        ]
    )
    (deliveries.log_data / "day.json").touch()
    assert lake.run().as_json() == {"new_files": 0, "batches": []}
    assert_equals_a_rebuild(lake)


def test_a_record_that_is_back_wins_over_another_files_correction_and_a_repeated_one_does_not(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    back, repeated = play(sessionId=1), play(sessionId=2)
    deliveries.logs("a.json", [back, repeated])
    lake.run()
    deliveries.logs("b.json", [{**back, "location": "Oslo"}, {**repeated, "location": "Oslo"}])
    lake.run()
    deliveries.logs("a.json", [repeated])
    assert counts(lake) == {"superseded": 1}
    deliveries.logs("a.json", [back, repeated])
    assert counts(lake) == {"accepted": 1, "superseded": 1}
    assert [(r["s"], r["l"]) for r in rows(lake, PLACES)] == [(1, "London"), (2, "Oslo")]
    assert outcomes(lake)["superseded", 3, 1] == outcomes(lake)["superseded", 4, 2] == 1
    assert_equals_a_rebuild(lake)


def test_a_late_record_that_loses_is_not_counted_as_accepted(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file listed first and taken in last, because it changed while the first run read it."""
    lake = open_lake("lake", deliveries)
    deliveries.logs("a.json", [play(location="Late"), play(sessionId=2, location="Late")])
    deliveries.logs("b.json", [play(location="Newer")])

    def first_changes(files: Sequence[Listed], *_: object) -> list[Listed]:
        return [f for f in files if f.path == "a.json"]

    with monkeypatch.context() as patched:
        patched.setattr("runtime.run.runner.changed_since", first_changes)
        assert counts(lake) == {"accepted": 1}
    assert counts(lake) == {"accepted": 1, "superseded": 1}
    assert rows(lake, PLACES) == [{"s": 1, "l": "Newer", "d": 2}, {"s": 2, "l": "Late", "d": 1}]
    assert outcomes(lake)["superseded", 1, 1] == 1
    assert_equals_a_rebuild(lake)


def test_a_restored_lake_takes_in_again_what_went_back_and_forth(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    for place in ("Right", "WRONG", "Right"):
        deliveries.logs("day.json", [play(location=place)])
        lake.run()
    lake.restore(1, allow_unavailable=True)
    lake.run()
    assert [(r["s"], r["l"]) for r in rows(lake, PLACES)] == [(1, "Right")]
    for place in ("WRONG", "Right"):
        deliveries.logs("day.json", [play(location=place)])
        lake.run()
        assert [(r["s"], r["l"]) for r in rows(lake, PLACES)] == [(1, place)]
    assert_equals_a_rebuild(lake)


def test_a_record_that_comes_back_and_passes_on_retry_wins(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake("lake", deliveries)
    for level in ("gold", "paid", "gold"):
        deliveries.logs("day.json", [play(level=level)])
        lake.run()
    expectations = gold.TABLES["silver.events"].expectations
    monkeypatch.setitem(expectations, "level_is_known", "level in ('free', 'paid', 'gold')")
    retried = lake.quarantine.retry()
    assert retried.as_json()["records"] == {
        "accepted": 1, "duplicate": 1, "superseded": 0, "quarantined": 0, "relabelled": 0,
    }  # fmt: skip
    assert rows(lake, "select level, _delivery as d from silver.events") == [{"level": "gold", "d": 3}]
    other = open_lake("other", deliveries)
    other.run()
    assert_same_tables(engine, lake, other, [n for n in DERIVED if n != "silver.quarantine"])


Version = tuple[str, Sequence[tuple[int, str]]]  # a path, and the session and location of each record
VERSIONS = st.lists(
    st.tuples(
        st.sampled_from(["a.json", "b.json"]),
        st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["Oslo", "Rome"])), min_size=1, max_size=3),
    ),
    min_size=3,
    max_size=8,
)


def predicted(versions: Sequence[Version]) -> tuple[list[dict[str, int]], dict[int, str], Counter[str]]:
    """The rule, stated in Python: the counts of each run, each session's location, and the outcomes."""
    standing: dict[str, Sequence[tuple[int, str]]] = {}
    delivered: list[tuple[int, str]] = []
    now: dict[int, str] = {}
    counted = []
    for path, records in versions:
        if standing.get(path) == records:
            continue
        before, stored = standing.get(path, ()), dict(now)
        now |= dict(record for record in records if record not in before)
        changed = {s for s in now if now[s] != stored.get(s)}
        same = sum(now[s] == place for s, place in records)
        found = Counter(accepted=len(changed), duplicate=same - len(changed), superseded=len(records) - same)
        counted.append(dict(+found))
        standing[path] = records
        delivered += records
    winners = len(now)
    same = sum(now[s] == place for s, place in delivered)
    ends = Counter(winner=winners, duplicate=same - winners, superseded=len(delivered) - same)
    return counted, now, +ends


def assert_as_predicted(engine: Engine, versions: Sequence[Version]) -> None:
    counted, now, ends = predicted(versions)
    with shop(engine.name) as made:
        sources = Deliveries(made.folder / "sources")
        lake = sources.lake(made.folder / "lake", engine.name)
        found = []
        standing: Mapping[str, object] = {}
        for path, records in versions:
            if standing.get(path) != records:
                sources.logs(path, [play(sessionId=s, location=place) for s, place in records])
                found.append(counts(lake))
            standing = {**standing, path: records}
        assert found == counted
        assert {r["s"]: r["l"] for r in rows(lake, PLACES)} == now
        seen: Counter[str] = Counter()
        for (outcome, *_), n in outcomes(lake).items():
            seen[outcome] += n
        assert seen == ends
        assert_equals_a_rebuild(lake)


@pytest.mark.timeout(900)
@prop(3, seeded=True)
@given(versions=VERSIONS)
def test_files_that_go_back_and_forth_follow_the_rule(engine: Engine, versions: list[Version]) -> None:
    assert_as_predicted(engine, versions)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@prop(100, seeded=False)
@given(versions=VERSIONS)
def test_a_hundred_histories_follow_the_rule(engine: Engine, versions: list[Version]) -> None:
    assert_as_predicted(engine, versions)
