"""What changed between two batches: set arithmetic over whole tables, and the files it takes."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gold
from lakehouse import Lakehouse
from runtime.cli import main
from runtime.engine import Engine
from runtime.errors import UsageError
from runtime.read.diff import Change, Diff, TableDiff
from runtime.read.keys import key_columns
from runtime.read.query import closed_connection
from runtime.read.snapshot import Files, Snapshot
from runtime.table import Merge, Table
from tests.support.deliveries import Deliveries, play, song
from tests.support.random_records import deliver

OpenLake = Callable[..., Lakehouse]
Row = Mapping[str, Any]


def rows_of(state: Snapshot, table: Table) -> dict[str, Row]:
    """The rows of a table by key, with the columns that count."""
    names = [c.name for c in key_columns(table)]
    wanted = dict.fromkeys([*names, *table.content])
    rows = state.table(table.name).arrow().select(list(wanted)).to_pylist()
    by_key = {repr([row[name] for name in names]): row for row in rows}
    assert len(by_key) == len(rows)
    return by_key


def by_sets(before: Snapshot, after: Snapshot, table: Table) -> list[tuple[str, Any, Any]]:
    """The same by plain Python over all rows of both states."""
    old, new = rows_of(before, table), rows_of(after, table)
    return sorted(
        [
            *(("inserted", None, new[k]) for k in new.keys() - old.keys()),
            *(("deleted", old[k], None) for k in old.keys() - new.keys()),
            *(("updated", old[k], new[k]) for k in old.keys() & new.keys() if old[k] != new[k]),
        ],
        key=repr,
    )


def found(table: TableDiff) -> list[tuple[str, Any, Any]]:
    return sorted(((c.change, c.before, c.after) for c in table), key=repr)


def assert_set_arithmetic(lake: Lakehouse, before: int, after: int) -> None:
    old, new = lake.at(batch=before), lake.at(batch=after)
    for name, table in lake.diff(before, after).tables.items():
        assert found(table) == by_sets(old, new, gold.TABLES[name]), (before, after, name)


@pytest.mark.engine
@pytest.mark.long_on_spark
@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.slow] * (seed >= 1)) for seed in range(12)]
)
def test_on_any_history_it_is_what_set_arithmetic_over_whole_tables_says(
    open_lake: OpenLake, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    sources = Deliveries(tmp_path / "any")
    lake = open_lake("lake", sources, batch_bytes=chance.choice([600, 2_000, 1_000_000]))
    for number in range(8):
        deliver(chance, sources, number)
        if chance.random() < 0.7:
            lake.run()
        if chance.random() < 0.15 and number:
            lake.run()
            lake.run(full_refresh=True)
        if chance.random() < 0.3:
            lake.run()
            lake.optimize()
        if chance.random() < 0.15 and number:
            lake.run()
            lake.restore(chance.choice([state["batch_id"] for state in lake.history()]))
    lake.run()
    ids = [state["batch_id"] for state in lake.history()]
    states = {batch: lake.at(batch=batch) for batch in ids}
    pairs = {(min(ids), max(ids)), *((chance.choice(ids), chance.choice(ids)) for _ in range(4))}
    for before, after in sorted(pairs):
        diff = lake.diff(before, after)
        assert set(diff.tables) == set(gold.TABLES)
        for name, table in diff.tables.items():
            expected = by_sets(states[before], states[after], gold.TABLES[name])
            assert found(table) == expected, (before, after, name)
            assert table.counts == {
                kind: sum(change == kind for change, *_ in expected)
                for kind in ("inserted", "updated", "deleted")
            }


KEYED = Table(
    name="gold.keyed",
    grain="one row per id",
    inputs=(),
    build=lambda: None,  # type: ignore[arg-type, return-value]
    write=Merge(key=("id",)),
    schema="id int not null, tags array<string>, size double, at timestamp, _seen int",
)
SCHEMA = pa.schema(
    [
        ("id", pa.int32()),
        ("tags", pa.list_(pa.string())),
        ("size", pa.float64()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("_seen", pa.int32()),
    ]
)
any_row = st.fixed_dictionaries(
    {
        "id": st.integers(0, 3),
        "tags": st.none() | st.lists(st.none() | st.sampled_from(["a", "b", ""]), max_size=2),
        "size": st.none() | st.sampled_from([0.1, 2.0]),
        "at": st.none() | st.just(datetime(2018, 11, 21, 21, 56, 47, 796000, tzinfo=UTC)),
        "_seen": st.integers(0, 3),
    }
)


def bag(rows: list[Row]) -> Counter[str]:
    seen = ({k: v for k, v in row.items() if k != "_seen"} for row in rows)
    return Counter(json.dumps(row, default=datetime.isoformat, sort_keys=True) for row in seen)


@settings(deadline=None, max_examples=40)
@given(old=st.lists(any_row, max_size=8), new=st.lists(any_row, max_size=8))
def test_nulls_arrays_and_even_rows_that_share_a_key_are_each_counted(
    tmp_path_factory: pytest.TempPathFactory, old: list[Row], new: list[Row]
) -> None:
    folder = tmp_path_factory.mktemp("files")
    files = []
    for name, rows in (("old", old), ("new", new)):
        pq.write_table(pa.Table.from_pylist(list(rows), SCHEMA), folder / name)
        files.append(Files((str(folder / name),), frozenset(SCHEMA.names)))
    diff = TableDiff(KEYED, files[0], files[1], None, closed_connection(str(folder), {}))
    changes = list(diff)
    gone = bag([c.before for c in changes if c.before is not None])
    come = bag([c.after for c in changes if c.after is not None])
    assert not gone & come
    assert bag(old) - gone + come == bag(new)
    assert sum(gone.values()) == sum((gone & bag(old)).values())
    for change in changes:
        sides = [side for side in (change.before, change.after) if side is not None]
        assert all(side["id"] == change.key["id"] for side in sides)
        assert (change.change == "updated") == (len(sides) == 2)
    ids = Counter((c.key["id"], c.change) for c in changes)
    assert not any(ids[i, "inserted"] and ids[i, "deleted"] for i in range(4))


@pytest.fixture(scope="module")
def upgraded(engine: Engine, engine_name: str, tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """Two days: user 7 upgrades on the second, user 8 is new; a third batch corrects a play away."""
    folder = tmp_path_factory.mktemp("upgraded")
    sources = Deliveries(folder / "sources")
    lake = sources.lake(folder / "lake", engine_name)
    sources.songs("song.json", [song()])
    sources.logs("1.json", [play("2018-11-02 10:00:00"), play("2018-11-02 11:00:00", itemInSession=1)])
    lake.run()
    second = [play("2018-12-03 10:00:00", sessionId=2, level="paid"), play(sessionId=3, userId="8")]
    sources.logs("2.json", second)
    lake.run()
    sources.logs("3.json", [play("2018-11-02 11:00:00", itemInSession=1, page="Home")])
    lake.run()
    return lake


@pytest.fixture
def own(upgraded: Lakehouse, tmp_path: Path) -> Lakehouse:
    """A copy of that lake from which a test may take files away."""
    shutil.copytree(upgraded.settings.lake, tmp_path / "own")
    return Lakehouse.open(lake=str(tmp_path / "own"))


def test_an_upgrade_is_an_update_of_level_and_nothing_else(upgraded: Lakehouse) -> None:
    person = {"first_name": "Ada", "last_name": "Byron", "gender": "F"}
    changes = list(upgraded.diff(1, 2, tables=["users"]).table("users"))
    assert changes == [
        Change(
            "updated",
            {"user_id": 7},
            {"user_id": 7, **person, "level": "free"},
            {"user_id": 7, **person, "level": "paid"},
        ),
        Change("inserted", {"user_id": 8}, None, {"user_id": 8, **person, "level": "free"}),
    ]
    assert changes[0].columns == ("level",)


def test_the_other_way_round_it_is_the_mirror_image(upgraded: Lakehouse) -> None:
    mirror = {"inserted": "deleted", "updated": "updated", "deleted": "inserted"}
    there, back = upgraded.diff(1, 3), upgraded.diff(3, 1)
    for name in there.tables:
        mirrored = [(mirror[kind], after, before) for kind, before, after in found(back.tables[name])]
        assert found(there.tables[name]) == sorted(mirrored, key=repr), name


def test_a_key_gives_that_row_only(upgraded: Lakehouse) -> None:
    (change,) = upgraded.diff(1, 2, tables=["gold.users"], key=8).table("gold.users")
    assert (change.change, change.key) == ("inserted", {"user_id": 8})
    (change,) = upgraded.diff(2, 3, tables=["time"], key="2018-11-02T11:00:00Z").table("time")
    assert change.change == "deleted"
    assert upgraded.diff(1, 2, tables=["users"], key="9").is_empty


def test_files_both_states_have_are_not_read(own: Lakehouse) -> None:
    """Their bytes are replaced, and the answer stays the same."""
    before, after = own.at(batch=1), own.at(batch=2)
    expected = {name: by_sets(before, after, table) for name, table in gold.TABLES.items()}
    shared = {
        uri for name in before.versions for uri in set(before.files(name).uris) & set(after.files(name).uris)
    }
    assert {Path(uri).parent.parts[-3:] for uri in shared} >= {("songplays", "year=2018", "month=11")}
    for uri in shared:
        Path(uri).write_bytes(b"not read")
    diff = own.diff(1, 2)
    assert {name: found(table) for name, table in diff.tables.items()} == expected


@pytest.mark.engine
@pytest.mark.long_on_spark
def test_files_that_optimize_merged_are_not_read(open_lake: OpenLake, deliveries: Deliveries) -> None:
    lake = open_lake("lake", deliveries)
    for day in (1, 2, 3):
        deliveries.logs(f"{day}.json", [play(f"2018-11-0{day} 10:00:00", sessionId=day)])
        lake.run()
    lake.optimize()
    deliveries.logs("4.json", [play("2018-11-04 10:00:00", sessionId=4, level="paid")])
    lake.run()
    log = lake.diff(3, 5).table("bronze.log_data")
    assert (len(log.old.uris), len(log.new.uris)) == (0, 1)
    assert lake.diff(3, 4).is_empty
    assert not any(table.old.uris or table.new.uris for table in lake.diff(3, 4).tables.values())
    for before, after in ((1, 5), (5, 2), (4, 3)):
        assert_set_arithmetic(lake, before, after)
    lake.pin(2, "so that it can still be compared")
    lake.vacuum(history_days=0)
    with pytest.raises(UsageError, match="vacuumed"):
        lake.diff(3, 5)
    assert_set_arithmetic(lake, 2, 5)


def test_a_table_of_one_version_is_not_even_opened(own: Lakehouse) -> None:
    shutil.rmtree(Path(own.settings.lake) / "gold" / "songs")
    assert own.diff(1, 2, tables=["songs"]).is_empty


@pytest.mark.engine
@pytest.mark.long_on_spark
def test_of_a_table_that_one_state_does_not_have_all_rows_come_and_go(
    open_lake: OpenLake, deliveries: Deliveries
) -> None:
    class WithoutTime(Lakehouse):
        tables = {name: table for name, table in gold.TABLES.items() if name != "gold.time"}  # noqa: RUF012

    deliveries.logs("1.json", [play("2018-11-02 10:00:00"), play("2018-11-02 11:00:00", itemInSession=1)])
    lake = open_lake("younger", deliveries)
    WithoutTime(lake.settings).run()
    lake.run()
    assert lake.diff(1, 2).summary["gold.time"] == {"inserted": 2, "updated": 0, "deleted": 0}
    assert lake.diff(2, 1).summary["gold.time"] == {"inserted": 0, "updated": 0, "deleted": 2}
    assert len(list(lake.diff(1, 2).table("time"))) == 2


def test_changes_of_two_tables_can_be_taken_by_turns(upgraded: Lakehouse) -> None:
    diff = upgraded.diff(1, 3)
    by_turns = list(zip(diff.table("users"), diff.table("songplays"), strict=False))
    assert by_turns == list(zip(list(diff.table("users")), list(diff.table("songplays")), strict=False))
    assert len(by_turns) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tables": ["user"]}, r"did you mean gold\.users\?"),
        ({"key": 7}, "a key belongs to one table"),
        ({"tables": ["users"], "key": "-7"}, "a whole number from 0"),
        ({"tables": ["users"], "key": "2147483648"}, "a whole number from 0"),
        ({"tables": ["time"], "key": "noon"}, "a time such as"),
        ({"tables": ["bronze.log_data"], "key": "3"}, "_delivery:_source_line"),
    ],
)
def test_what_cannot_be_compared_is_refused(upgraded: Lakehouse, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        upgraded.diff(1, 2, **options)


def test_a_table_that_was_not_compared_is_not_found(upgraded: Lakehouse) -> None:
    diff: Diff = upgraded.diff(1, 2, tables=["users"])
    with pytest.raises(UsageError, match="'songs' was not compared"):
        diff.table("songs")


def told(lake: Lakehouse, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main([*words, "--lake", lake.settings.lake])
    return code, *capsys.readouterr()


def test_json_holds_the_counts_and_every_row(upgraded: Lakehouse, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = told(upgraded, capsys, "diff", "1", "2", "--format", "json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    diff = upgraded.diff(1, 2)
    assert (said["from"], said["to"]) == (1, 2)
    assert {n: {c: t[c] for c in t if c != "rows"} for n, t in said["tables"].items()} == diff.summary
    assert said["tables"]["gold.users"]["rows"][0] == {
        "change": "updated",
        "key": {"user_id": 7},
        "columns": ["level"],
        "before": {"user_id": 7, "first_name": "Ada", "last_name": "Byron", "gender": "F", "level": "free"},
        "after": {"user_id": 7, "first_name": "Ada", "last_name": "Byron", "gender": "F", "level": "paid"},
    }
    assert all(len(t["rows"]) == sum(diff.summary[n].values()) for n, t in said["tables"].items())


def test_csv_has_a_line_for_every_value_that_differs(
    upgraded: Lakehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = told(upgraded, capsys, "diff", "1", "2", "--table", "users", "--key", "7", "--format=csv")
    assert out.splitlines() == [
        "table,change,key,column,before,after",
        "gold.users,updated,7,level,free,paid",
    ]


def test_a_person_gets_a_summary_and_the_first_rows_of_each_table(
    upgraded: Lakehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, err = told(upgraded, capsys, "diff", "1", "2", "--table=users", "--table=songs", "--limit=1")
    assert out.splitlines() == [
        "table       inserted  updated  deleted",
        "──────────  ────────  ───────  ───────",
        "gold.users         1        1        0",
        "gold.songs         0        0        0",
        "",
        "gold.users",
        "   key  row",
        "─  ───  ─────────────────",
        "~  7    level free → paid",
    ]
    assert err == "gold.users: 1 row more; --limit N shows more, json and csv show all.\n"


@pytest.mark.parametrize(("to", "code"), [("2", 1), ("1", 0)])
def test_with_exit_code_a_difference_is_exit_1(
    upgraded: Lakehouse, capsys: pytest.CaptureFixture[str], to: str, code: int
) -> None:
    assert told(upgraded, capsys, "diff", "1", to, "--exit-code")[0] == code
    assert told(upgraded, capsys, "diff", "1", to)[0] == 0
