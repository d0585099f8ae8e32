"""Tables that another program damaged: what bronze holds is rebuilt, and what is lost is said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

import gold
from lakehouse import Lakehouse
from runtime.cli import main
from runtime.errors import LakeDamaged, UsageError
from tests.support.damaging import edit_state, folder
from tests.support.deliveries import Deliveries, play, song
from tests.support.scenes import published

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.long_on_spark]
Open = Callable[..., Lakehouse]

FEATURES = {
    "row tracking": {
        "minReaderVersion": 1,
        "minWriterVersion": 7,
        "writerFeatures": ["rowTracking", "domainMetadata"],
    },
    "clustering": {
        "minReaderVersion": 1,
        "minWriterVersion": 7,
        "writerFeatures": ["clustering", "domainMetadata"],
    },
    "type widening": {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": ["typeWidening"],
        "writerFeatures": ["typeWidening"],
    },
}


@pytest.fixture
def two_batches(deliveries: Deliveries, open_lake: Open) -> Lakehouse:
    lake = open_lake("lake", deliveries)
    deliveries.songs("1.json", [song(), song(song_id="SONG2", title="Sums")])
    deliveries.logs("1.json", [play(), '{"userId": 1}'])
    lake.run()
    deliveries.logs("2.json", [play("2018-11-03 10:00:00", sessionId=2, userId="8", song="Sums")])
    lake.run()
    return lake


def optimized_and_vacuumed(table: Path) -> None:
    opened = DeltaTable(str(table))
    opened.optimize.compact()
    opened.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)


def without_its_folder(table: Path) -> None:
    shutil.rmtree(table)


@pytest.mark.parametrize("damage", [optimized_and_vacuumed, without_its_folder])
@pytest.mark.parametrize("tables", [["gold.users"], ["silver.quarantine", "silver.events", "gold.time"]])
def test_a_full_refresh_rebuilds_what_another_program_removed(
    two_batches: Lakehouse, tables: list[str], damage: Callable[[Path], None]
) -> None:
    expected = published(two_batches)
    for table in tables:
        DeltaTable(str(folder(two_batches, table))).delete()  # or there may be nothing to compact
        damage(folder(two_batches, table))
    with pytest.raises(LakeDamaged, match=rf"(?s){tables[0].replace('.', '/')}.*run --full-refresh"):
        two_batches.run()
    two_batches.run(full_refresh=True)
    assert published(two_batches) == expected
    assert two_batches.verify().ok
    assert two_batches.run().states == []


def test_bronze_that_another_program_optimized_and_vacuumed_loses_nothing(two_batches: Lakehouse) -> None:
    expected = published(two_batches)
    optimized_and_vacuumed(folder(two_batches, "bronze.log_data"))
    two_batches.run()
    two_batches.run(full_refresh=True)
    assert published(two_batches) == expected
    assert two_batches.verify().ok


def test_an_earlier_batch_is_not_read_from_a_table_that_began_again(two_batches: Lakehouse) -> None:
    shutil.rmtree(folder(two_batches, "gold.users"))
    two_batches.run(full_refresh=True)
    with pytest.raises(UsageError, match="Batch 1 "):
        two_batches.at(batch=1)


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("table", ["gold.users", "bronze.log_data"])
def test_a_feature_that_another_engine_set_is_rolled_back(
    two_batches: Lakehouse, table: str, feature: str
) -> None:
    expected = published(two_batches)
    place = folder(two_batches, table)
    commit = place / "_delta_log" / f"{DeltaTable(str(place)).version() + 1:020}.json"
    commit.write_text(json.dumps({"protocol": FEATURES[feature]}) + "\n")
    two_batches.run()
    assert published(two_batches) == expected
    assert DeltaTable(str(place)).protocol().min_writer_version == 2
    assert two_batches.verify().ok


def test_a_partition_column_that_does_not_exist_is_put_right_where_older_code_wrote_it(
    two_batches: Lakehouse,
) -> None:
    expected = published(two_batches)
    place = folder(two_batches, "gold.time")
    version = DeltaTable(str(place)).version() + 1
    first = [json.loads(line) for line in (place / "_delta_log" / f"{0:020}.json").read_text().splitlines()]
    metadata = next(action["metaData"] for action in first if "metaData" in action)
    wrong = {"metaData": {**metadata, "partitionColumns": ["yaer"]}}
    (place / "_delta_log" / f"{version:020}.json").write_text(json.dumps(wrong) + "\n")
    two_batches.run()
    two_batches.run(full_refresh=True)
    assert published(two_batches) == expected
    assert two_batches.verify().ok


def test_records_that_bronze_lost_are_named_and_taken_in_again_from_their_source(
    two_batches: Lakehouse,
) -> None:
    expected = published(two_batches)
    shutil.rmtree(folder(two_batches, "bronze.log_data"))
    with pytest.raises(LakeDamaged, match=r"records of 2 files .*1\.json.*--accept-loss"):
        two_batches.run(full_refresh=True)
    two_batches.run(full_refresh=True, accept_loss=True)
    two_batches.run()
    assert published(two_batches) == expected
    assert two_batches.verify().ok


def test_an_earlier_version_of_bronze_that_is_whole_is_kept(
    two_batches: Lakehouse, deliveries: Deliveries
) -> None:
    expected = published(two_batches)
    place = folder(two_batches, "bronze.log_data")
    commits = sorted((place / "_delta_log").glob("*.json"))
    added = next(json.loads(line)["add"] for line in commits[-1].read_text().splitlines() if '"add"' in line)
    (place / added["path"]).unlink()
    DeltaTable(str(place)).delete("raw = 'nothing'")
    commits[-1].write_text(json.dumps({"commitInfo": {}}) + "\n")
    (deliveries.log_data / "1.json").unlink()  # what the older version holds needs no source
    two_batches.run(full_refresh=True, accept_loss=True)
    two_batches.run()
    assert published(two_batches) == expected


def test_accepting_a_loss_goes_with_a_full_refresh(two_batches: Lakehouse) -> None:
    assert main(["run", "--accept-loss", f"--lake={two_batches.settings.lake}"]) == 2


def test_code_that_lacks_tables_keeps_their_records_and_newer_code_brings_them_up_to_date(
    two_batches: Lakehouse, deliveries: Deliveries, open_lake: Open
) -> None:
    catalogue = ("bronze.song_data", "silver.songs", "gold.songs", "gold.artists")
    older = {name: gold.TABLES[name] for name in catalogue}
    deliveries.songs("2.json", [song(song_id="SONG0", title="Sums", year=1999)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lakehouse, "tables", older)
        two_batches.run()
    assert two_batches.status()["tables"]["bronze.log_data"]["rows"] == 3
    assert "gold.songplays" not in two_batches.at().versions  # it fell behind
    deliveries.logs("3.json", [play("2018-11-04 10:00:00", sessionId=3, song="Sums")])
    two_batches.run()
    expected = open_lake("expected", deliveries)
    expected.run()
    assert published(two_batches) == published(expected)
    assert [c for c in two_batches.verify().checks if not c.ok] == []


def test_older_code_that_dropped_a_bronze_table_from_the_state_lost_no_record(
    two_batches: Lakehouse, deliveries: Deliveries, open_lake: Open
) -> None:
    def without_logs(state: dict[str, Any]) -> None:
        for part in ("tables", "schemas", "fingerprints"):
            del state[part]["bronze.log_data"]

    deliveries.songs("2.json", [song(song_id="SONG3", title="Loops")])
    two_batches.run()
    edit_state(two_batches, 3, without_logs)
    deliveries.logs("3.json", [play("2018-11-04 10:00:00", sessionId=3, song="Sums")])
    two_batches.run()
    expected = open_lake("expected", deliveries)
    expected.run()
    assert published(two_batches) == published(expected)


@pytest.mark.parametrize("table", ["gold.users", "bronze.song_data"])
def test_doctor_names_a_torn_table_and_a_command(two_batches: Lakehouse, table: str) -> None:
    newest = max((folder(two_batches, table) / "_delta_log").glob("*.json"))
    newest.write_bytes(b"")
    wrong = {finding.check: finding for finding in two_batches.doctor() if not finding.is_well}
    assert table in wrong["tables"].found
    assert wrong["tables"].mend == "python lakehouse.py optimize"
