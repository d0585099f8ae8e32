"""Verify tells a right lake from a damaged one, and says what is damaged."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from lakehouse import Lakehouse
from runtime.cli import main
from runtime.engine import Engine
from runtime.errors import UsageError
from runtime.ledger.lease import claim
from runtime.ledger.ledger import Ledger
from runtime.verify.verdict import Verdict
from silver import events
from tests.support import damaging
from tests.support.damaging import data_files, flip
from tests.support.deliveries import Deliveries, event, play, song

pytestmark = pytest.mark.engine
long_on_spark = pytest.mark.long_on_spark
OpenLake = Callable[..., Lakehouse]
Damage = Callable[[Lakehouse], None]


@pytest.fixture(scope="module")
def right_lake(
    engine: Engine, engine_name: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Lakehouse, Deliveries]:
    """Two batches with corrections and dirt. Not to be written to."""
    root = tmp_path_factory.mktemp("verify")
    sources = Deliveries(root / "sources")
    lake = sources.lake(root / "lake", engine_name)
    sources.songs("1.json", [song(), song(song_id="SONG2", artist_id="ARTIST2", title="Sums")])
    sources.logs("1.json", [play(f"2018-11-02 10:00:{n:02}", itemInSession=n) for n in range(40)])
    lake.run()
    sources.logs("2.json", [play("2018-11-02 10:00:05", itemInSession=5, userId="8"), event(level="gold")])
    sources.logs("3.json", [event("2018-12-04 10:00:00", sessionId=2, level="paid"), "{cut"])
    lake.run()
    return lake, sources


@pytest.fixture
def lake(right_lake: tuple[Lakehouse, Deliveries], tmp_path: Path) -> Lakehouse:
    """A copy that a test may damage."""
    original, sources = right_lake
    shutil.copytree(original.settings.lake, tmp_path / "lake")
    return sources.lake(tmp_path / "lake", original.settings.engine)


def findings(verdict: Verdict) -> dict[tuple[str, str | None], str]:
    """What was found damaged, by question and table."""
    return {(c.check, c.table): " / ".join([c.found, *c.detail]) for c in verdict.checks if not c.ok}


# --- lakes that are right


@pytest.mark.long_on_spark
def test_a_right_lake_is_found_right_and_stays_as_it_was(lake: Lakehouse) -> None:
    before = listing(lake)
    verdict = lake.verify()
    assert findings(verdict) == {}
    assert verdict.batch_id == 2
    asked = "ledger commits versions head files keys references records counts rebuild"
    assert {c.check for c in verdict.checks} == set(asked.split())
    compared = {c.table for c in verdict.checks if c.check == "rebuild"}
    assert compared == {name for name in Lakehouse.tables if not name.startswith("bronze.")}
    assert listing(lake) == before


def listing(lake: Lakehouse) -> dict[str, int]:
    return {str(f): f.stat().st_size for f in Path(lake.settings.lake).rglob("*") if f.is_file()}


@long_on_spark
def test_a_dirty_sample_is_found_right(dirty_lake: Lakehouse) -> None:
    assert findings(dirty_lake.verify()) == {}


@long_on_spark
def test_a_lake_taken_in_by_small_batches_is_found_right(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    for day in range(1, 4):
        at = f"2018-11-0{day} 10:00:00"
        records = [play(at, sessionId=day), play(at, sessionId=1, itemInSession=1), event(level="gold")]
        deliveries.logs("grown.json", [*records, event(at, sessionId=9, location=f"Paris {day}")])
        deliveries.songs(f"{day}.json", [song(year=day), song(song_id=f"S{day}", title="Notes")])
        lake = open_lake("lake", deliveries, batch_bytes=1_000)
        lake.run()
    assert lake.status()["batch_id"] > 3
    assert findings(lake.verify()) == {}


@long_on_spark
def test_a_lake_is_found_right_after_everything_that_publishes(
    lake: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.run(full_refresh=True)
    assert findings(lake.verify()) == {}
    lake.restore(1)
    assert findings(lake.verify()) == {}
    lake.run()
    monkeypatch.setitem(events.TABLE.expectations, "level_is_known", "level is not null")
    assert lake.quarantine.retry().state is not None
    assert findings(lake.verify()) == {}
    lake.optimize()
    lake.vacuum(history_days=0)
    assert findings(lake.verify()) == {}
    assert [s["kind"] for s in lake.history()][2:] == [
        "full refresh", "restore", "run", "quarantine retry", "optimize",
    ]  # fmt: skip


@long_on_spark
def test_a_table_asked_for_is_checked_alone_and_rebuilt_with_what_it_is_made_from(lake: Lakehouse) -> None:
    verdict = lake.verify(["time", "silver.songs"])
    assert findings(verdict) == {}
    assert {c.table for c in verdict.checks if c.table} == {"gold.time", "silver.songs"}
    with pytest.raises(UsageError, match=r"did you mean gold\.users"):
        lake.verify(["user"])


@long_on_spark
def test_what_a_run_at_work_has_written_so_far_is_no_damage(lake: Lakehouse) -> None:
    with claim(Ledger(f"{lake.settings.lake}/_ledger"), "run", 60):
        write_to(lake)
        assert findings(lake.verify(["users"])) == {}
    assert findings(lake.verify(["users"])) != {}


@long_on_spark
def test_rules_that_changed_are_a_note_and_no_damage(
    lake: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.table.fingerprints.rules", lambda table: f"new rules of {table.name}")
    monkeypatch.setitem(events.TABLE.expectations, "level_is_known", "level = 'paid'")
    verdict = lake.verify()
    assert findings(verdict) == {}
    told = {(c.check, c.table): c for c in verdict.checks}
    assert told["rules", "silver.events"].found.startswith("rules changed since batch 2")
    differing = told["rebuild", "gold.songplays"]
    assert "run --full-refresh" in differing.found
    assert len(differing.detail) == 11
    assert "is there, but no record makes it" in differing.detail[0]
    lake.run(full_refresh=True)
    assert not [c for c in lake.verify().checks if c.check == "rules"]


@long_on_spark
def test_rows_made_by_several_rules_are_no_damage_even_when_the_first_rules_are_back(
    lake: Lakehouse, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lakehouse(lake.settings.model_copy(update={"log_data": str(deliveries.log_data)}))
    deliveries.logs("4.json", [play("2018-12-05 10:00:00", level="gold")])
    with monkeypatch.context() as changed:
        changed.setattr("runtime.table.fingerprints.rules", lambda table: f"new rules of {table.name}")
        changed.setitem(events.TABLE.expectations, "level_is_known", "level is not null")
        lake.run()
    verdict = lake.verify()
    assert findings(verdict) == {}
    told = {(c.check, c.table): c.found for c in verdict.checks}
    assert told["rules", "silver.events"].startswith("rules changed with batch 3")
    assert "gold.songplays" in lake.plan()["changed_rules"]
    assert told["rebuild", "gold.songplays"].startswith("rules changed: 1 rows")


# --- damage


def write_to(lake: Lakehouse) -> None:
    DeltaTable(str(damaging.folder(lake, "gold.users"))).delete("user_id = 7")


def rewrite_without_a_row(lake: Lakehouse) -> None:
    damaging.rewrite(lake, "gold.songplays", damaging.without_a_row, log_too=False)


def take_a_row(lake: Lakehouse) -> None:
    damaging.rewrite(lake, "gold.users", damaging.without_a_row, log_too=True)


def take_a_record(lake: Lakehouse) -> None:
    damaging.rewrite(lake, "bronze.log_data", damaging.without_a_row, log_too=True)


def double_a_row(lake: Lakehouse) -> None:
    damaging.rewrite(lake, "gold.time", damaging.with_a_row_twice, log_too=True)


def change_a_value(lake: Lakehouse) -> None:
    def renamed(rows: Any) -> Any:
        at = rows.schema.get_field_index("title")
        return rows.set_column(at, rows.schema.field(at), [["Forged"] * rows.num_rows])

    damaging.rewrite(lake, "gold.songs", renamed, log_too=True)


def flip_bytes(lake: Lakehouse) -> None:
    flip(data_files(lake, "gold.songplays")[0], 0.3)


def cut_a_file(lake: Lakehouse) -> None:
    file = data_files(lake, "silver.events")[0]
    file.write_bytes(file.read_bytes()[:-100])


def overwrite_a_file(lake: Lakehouse) -> None:
    file = data_files(lake, "silver.songs")[0]
    file.write_bytes(b"\0" * file.stat().st_size)


def lose_a_file(lake: Lakehouse) -> None:
    data_files(lake, "gold.users")[0].unlink()


def lose_a_record_file(lake: Lakehouse) -> None:
    data_files(lake, "bronze.song_data")[0].unlink()


def edit_a_commit(lake: Lakehouse) -> None:
    def renamed(action: dict[str, Any]) -> dict[str, Any]:
        return (
            {**action, "commitInfo": {**action["commitInfo"], "x": 1}} if "commitInfo" in action else action
        )

    damaging.edit_commit(lake, "gold.artists", 1, renamed)


def lose_a_commit(lake: Lakehouse) -> None:
    damaging.commit_file(lake, "gold.users", 1).unlink()


def lose_the_newest_commit(lake: Lakehouse) -> None:
    newest = DeltaTable(str(damaging.folder(lake, "gold.users"))).version()
    damaging.commit_file(lake, "gold.users", newest).unlink()


def break_a_commit(lake: Lakehouse) -> None:
    damaging.commit_file(lake, "gold.songplays", 1).write_bytes(b"{not json\n")


def lose_a_table(lake: Lakehouse) -> None:
    shutil.rmtree(damaging.folder(lake, "gold.time"))


def lose_a_log(lake: Lakehouse) -> None:
    shutil.rmtree(damaging.folder(lake, "bronze.log_data") / "_delta_log")


def forge_rows(lake: Lakehouse) -> None:
    def more(body: dict[str, Any]) -> None:
        body["tables"]["gold.users"]["rows"] += 1

    damaging.edit_state(lake, 2, more)


def forge_records(lake: Lakehouse) -> None:
    def more(body: dict[str, Any]) -> None:
        body["records"]["accepted"] += 1

    damaging.edit_state(lake, 1, more)


def forge_reasons(lake: Lakehouse) -> None:
    def more(body: dict[str, Any]) -> None:
        body["reasons"]["level_is_known"] += 1

    damaging.edit_state(lake, 2, more)


def forge_version(lake: Lakehouse) -> None:
    def older(body: dict[str, Any]) -> None:
        body["tables"]["gold.songplays"]["version"] -= 1

    damaging.edit_state(lake, 2, older)


def forge_base(lake: Lakehouse) -> None:
    def itself(body: dict[str, Any]) -> None:
        body["base"] = 2

    damaging.edit_state(lake, 2, itself)


def lose_a_delivery(lake: Lakehouse) -> None:
    damaging.forget_delivery(lake, 3)


def lose_the_ledger_file(lake: Lakehouse) -> None:
    for file in Path(lake.settings.lake, "_ledger").glob("*.parquet"):
        file.unlink()


def break_the_ledger_log(lake: Lakehouse) -> None:
    Path(lake.settings.lake, "_ledger", "_delta_log", f"{0:020}.json").write_bytes(b"\xff")


Finding = tuple[str, str | None, str]  # the question, the table, words of what is found
QUICK: dict[Damage, list[Finding]] = {
    write_to: [
        ("head", "gold.users", "1 commits after the published version"),
    ],
    take_a_row: [
        ("rebuild", "gold.users", " is missing"),
        ("references", "gold.songplays", " rows, is not in gold.users"),
        ("versions", "gold.users", "batch 2 says 2 rows"),
        ("commits", "gold.users", "is not as batch"),
    ],
    double_a_row: [
        ("keys", "gold.time", "start_time = 2018-11-02T10:00:"),
        ("rebuild", "gold.time", "1 rows are not what bronze makes of them"),
    ],
    flip_bytes: [
        ("files", "gold.songplays", "the file "),
    ],
    lose_a_file: [
        ("files", "gold.users", "is gone"),
    ],
    edit_a_commit: [
        ("commits", "gold.artists", "00001.json is not as batch 1 published it"),
    ],
    lose_a_commit: [
        ("commits", "gold.users", "00001.json is gone"),
    ],
    forge_rows: [
        ("versions", "gold.users", "batch 2 says 3 rows"),
    ],
    lose_a_delivery: [
        ("ledger", None, "delivery 3, taken in by batch 2, is not in it"),
    ],
}
SLOW: dict[Damage, list[Finding]] = {
    rewrite_without_a_row: [
        ("files", "gold.songplays", "bytes, its log says"),
    ],
    take_a_record: [
        ("counts", "bronze.log_data", "batch 1 delivered 40 records, 39 are there"),
        ("records", "silver.events", "which bronze does not hold"),
        ("rebuild", "silver.events", "is there, but no record makes it"),
    ],
    change_a_value: [
        ("rebuild", "gold.songs", "song_id = SONG1: title is 'Forged', rebuilt 'Notes'"),
    ],
    cut_a_file: [
        ("files", "silver.events", "bytes, its log says"),
    ],
    overwrite_a_file: [
        ("files", "silver.songs", "cannot be read"),
    ],
    lose_a_record_file: [
        ("files", "bronze.song_data", "is gone"),
    ],
    lose_the_newest_commit: [
        ("commits", "gold.users", ".json is gone"),
    ],
    break_a_commit: [
        ("commits", "gold.songplays", "cannot be read"),
    ],
    lose_a_table: [
        ("files", "gold.time", "holds no table"),
    ],
    lose_a_log: [
        ("commits", "bronze.log_data", "is gone"),
    ],
    forge_records: [
        ("ledger", None, "the records of batch 1 do not add up: 42 delivered, but 43"),
    ],
    forge_reasons: [
        ("counts", "silver.quarantine", "2 records counted for level_is_known, 1 are there"),
    ],
    forge_version: [
        ("rebuild", "gold.songplays", "are not what bronze makes of them"),
    ],
    forge_base: [
        ("ledger", None, "batch 2 stands on batch 2"),
    ],
    lose_the_ledger_file: [
        ("ledger", None, "cannot be read"),
    ],
    break_the_ledger_log: [
        ("ledger", None, "cannot be read"),
    ],
}


@long_on_spark
@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        *(pytest.param(d, f, id=d.__name__) for d, f in QUICK.items()),
        *(pytest.param(d, f, id=d.__name__, marks=pytest.mark.slow) for d, f in SLOW.items()),
    ],
)
def test_damage_is_found_named_and_ends_with_1(
    lake: Lakehouse, damage: Damage, expected: list[Finding], capsys: pytest.CaptureFixture[str]
) -> None:
    damage(lake)
    options = [f"--lake={lake.settings.lake}", f"--engine={lake.settings.engine}", "--format=json"]
    assert main(["verify", *options]) == 1
    ended = capsys.readouterr()
    told = json.loads(ended.out)
    assert told["ok"] is False
    damaged = [check for check in told["checks"] if not check["ok"]]
    for question, table, words in expected:
        found = [c for c in damaged if (c["check"], c["table"]) == (question, table)]
        assert len(found) == 1, damaged
        assert words in " / ".join([found[0]["found"], *found[0]["detail"]])
    assert "internal" not in ended.err


@long_on_spark
@pytest.mark.parametrize("at", [0.1, 0.5, 0.9, 0.99])
def test_bytes_that_no_reader_minds_are_found_all_the_same(lake: Lakehouse, at: float) -> None:
    flip(data_files(lake, "gold.songs")[0], at, 1)
    assert list(findings(lake.verify(["songs"]))) == [("files", "gold.songs")]


@long_on_spark
def test_damage_that_a_rebuild_or_a_run_mends_is_mended_by_it(lake: Lakehouse) -> None:
    write_to(lake)
    lake.run()
    assert findings(lake.verify()) == {}
    overwrite_a_file(lake)
    assert findings(lake.verify()) != {}
    lake.run(full_refresh=True)
    assert findings(lake.verify()) == {}


@long_on_spark
def test_a_deletion_vector_of_a_stranger_is_no_damage_once_it_is_rolled_back(lake: Lakehouse) -> None:
    add_deletion_vector(lake, "gold.users")
    assert ("head", "gold.users") in findings(lake.verify(["users"]))
    lake.run()
    assert findings(lake.verify(["users"])) == {}
    add_deletion_vector(lake, "gold.users")
    lake.run()
    assert findings(lake.verify(["users"])) == {}


def add_deletion_vector(lake: Lakehouse, table: str) -> None:
    """Commit what a Delta writer does that deletes rows by marking them: the file stays, as another."""
    opened = DeltaTable(str(damaging.folder(lake, table)))
    file = data_files(lake, table)[0].relative_to(damaging.folder(lake, table)).as_posix()
    log = [damaging.commit_file(lake, table, v).read_text() for v in range(opened.version() + 1)]
    actions = [json.loads(line) for commit in log for line in commit.splitlines()]
    add = next(a["add"] for a in reversed(actions) if a.get("add", {}).get("path") == file)
    features = ["deletionVectors"]
    vector = {
        "storageType": "i", "pathOrInlineDv": "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L",
        "sizeInBytes": 40, "cardinality": 6,
    }  # fmt: skip
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7}
    removed = {"path": file, "deletionTimestamp": 1, "dataChange": True, "size": add["size"]}
    commit = [
        {"protocol": {**protocol, "readerFeatures": features, "writerFeatures": features}},
        {"add": {**add, "deletionVector": vector}},
        {"remove": {**removed, "partitionValues": {}, "extendedFileMetadata": True}},
        {"commitInfo": {"operation": "DELETE", "timestamp": 1}},
    ]
    text = "\n".join(map(json.dumps, commit)) + "\n"
    damaging.commit_file(lake, table, opened.version() + 1).write_text(text)


@long_on_spark
@pytest.mark.parametrize(("factor", "is_damage"), [(1 + 2**-52, False), (1 + 1e-7, True), (math.inf, True)])
def test_the_last_bits_of_a_double_are_no_damage_to_what_a_rebuild_makes(
    lake: Lakehouse, factor: float, is_damage: bool
) -> None:
    def change(rows: pa.Table) -> pa.Table:
        at = rows.column_names.index("duration")
        return rows.set_column(at, "duration", pc.multiply(rows.column(at), pa.scalar(factor)))

    damaging.rewrite(lake, "gold.songs", change, log_too=True)
    assert (("rebuild", "gold.songs") in findings(lake.verify(["songs"]))) == is_damage


@long_on_spark
def test_a_person_is_told_a_line_a_question_and_every_finding(
    lake: Lakehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    lose_a_file(lake)
    options = [f"--lake={lake.settings.lake}", f"--engine={lake.settings.engine}"]
    assert main(["verify", *options]) == 1
    ended = capsys.readouterr()
    assert "ok       keys        10 tables\n" in ended.out
    assert "DAMAGED  files       gold.users: the file " in ended.out
    assert "run --full-refresh" in ended.out
    assert "1 check found damage" in ended.err
    assert main(["verify", "--table", "songs", "--format=csv", *options]) == 0
    assert capsys.readouterr().out.startswith("check,table,ok,found,detail\nledger,,true,")
