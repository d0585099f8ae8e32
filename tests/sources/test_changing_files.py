"""What docs/input.md says of files that change between two runs, or during one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import gold
from lakehouse import Lakehouse
from runtime.engine import Engine
from runtime.ledger.progress import Silent
from runtime.run.runner import Report
from tests.support.changing_files import CHANGES, Folder
from tests.support.comparing import DERIVED
from tests.support.deliveries import Deliveries
from tests.support.snapshots import contents

pytestmark = [pytest.mark.engine, pytest.mark.long_on_spark, pytest.mark.long]
JUDGED = tuple(name for name in DERIVED if name != "silver.quarantine")
BY_SESSION = ("silver.events", "gold.songplays")


class Meddling(Silent):
    """Changes files when a batch has begun, and its engine is about to read them."""

    def __init__(self, folders: Sequence[Folder]) -> None:
        self._folders = list(folders)

    def batch(self, batch_id: int, files: int, content_bytes: int) -> None:
        while self._folders:
            folder = self._folders.pop()
            if during := CHANGES[folder.number].during:
                during(folder)


@dataclass(frozen=True)
class Story:
    """All cases in one lake, the lake they should equal, and what was told on the way."""

    folders: list[Folder]
    lake: Lakehouse
    expected: Lakehouse
    news: dict[str, str]
    meddled: Report
    last: Report

    def below(self, folder: Folder, paths: dict[str, Any]) -> dict[str, Any]:
        prefix = f"{folder.path}/"
        return {p.removeprefix(prefix): v for p, v in paths.items() if p.startswith(prefix)}


@pytest.fixture(scope="module")
def story(engine: Engine, engine_name: str, tmp_path_factory: pytest.TempPathFactory) -> Story:
    tmp_path = tmp_path_factory.mktemp("changes")
    sources, wanted = Deliveries(tmp_path / "sources"), Deliveries(tmp_path / "wanted")
    folders = [Folder(sources.log_data / f"case{n}", n) for n in range(len(CHANGES))]
    for folder in folders:
        folder.path.mkdir()
    lake, expected = (
        s.lake(tmp_path / f"lake-{s.log_data.parent.name}", engine_name) for s in (sources, wanted)
    )
    tell(folders, "older")
    lake.run()
    tell(folders, "first")
    lake.run()
    tell(folders, "then")
    news = {file["path"]: file["reason"] for file in lake.plan()["files"]}
    meddled = lake.run(progress=Meddling(folders))
    last = lake.run()
    for folder in folders:
        rows = [folder.record(fields) for fields in CHANGES[folder.number].rows]
        wanted.logs(f"{folder.number}.json", rows)
    expected.run()
    return Story(folders, lake, expected, news, meddled, last)


def tell(folders: Sequence[Folder], part: str) -> None:
    for folder in folders:
        if happens := getattr(CHANGES[folder.number], part):
            happens(folder)


@pytest.mark.parametrize("number", range(len(CHANGES)), ids=[case.what for case in CHANGES])
def test_a_changed_file_has_the_outcome_the_documentation_gives(story: Story, number: int) -> None:
    case, folder = CHANGES[number], story.folders[number]
    assert story.below(folder, story.news) == case.news
    for table in BY_SESSION:
        assert of_session(story.lake, table, number) == of_session(story.expected, table, number)
    refused = f"select count(*) n from silver.quarantine where _source_file like '{folder.path}/%'"
    assert story.lake.sql(refused).to_pylist() == [{"n": case.rejected}]


def of_session(lake: Lakehouse, table: str, number: int) -> list[dict[str, Any]]:
    columns = ", ".join(gold.TABLES[table].content)
    found = lake.sql(f"select {columns} from {table} where session_id = {number} order by all")
    return list(found.to_pylist())


def test_together_the_changes_leave_what_one_clean_run_would(story: Story) -> None:
    assert contents(story.lake, tables=JUDGED) == contents(story.expected, tables=JUDGED)


def test_files_that_change_under_a_run_are_reported_and_wait_for_the_next(story: Story) -> None:
    meddled = {f.number for f in story.folders if CHANGES[f.number].during}
    failed = {Path(bad.uri).parent.name for bad in story.meddled.failed}
    assert failed == {f"case{number}" for number in meddled}
    assert story.last.new_files == 2
    assert story.lake.run().as_json() == {"new_files": 0, "batches": []}
