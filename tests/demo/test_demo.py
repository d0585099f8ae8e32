"""`make demo` shows what it says, compares what it says, and deletes nothing but its own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from docs.retell import masked
from lakehouse import Lakehouse
from runtime.demo.demo import different
from tests.support.checkout import ROOT, check_out, demonstrated, lines_without_times, python

pytestmark = pytest.mark.process

GOLD = ["gold.songplays", "gold.users", "gold.songs", "gold.artists", "gold.time"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    return demonstrated(tmp_path_factory.getbasetemp())


@pytest.fixture
def again(shared: tuple[Path, str], tmp_path: Path) -> Path:
    """A folder of its own in which the demo has run before."""
    folder = check_out(tmp_path / "again")
    shutil.copytree(shared[0] / "data", folder / "data")
    return folder


def test_the_second_run_reads_the_last_day_and_no_other_file(shared: tuple[Path, str]) -> None:
    batches = [line for line in shared[1].splitlines() if line.startswith("batch ")]
    assert [re.findall(r"(\d+) (\w+_data)", line) for line in batches] == [
        [("500", "song_data"), ("29", "log_data")],
        [("1", "log_data")],
    ]


def test_every_query_answers_as_of_its_batch(shared: tuple[Path, str]) -> None:
    lake = Lakehouse.open(lake=str(shared[0] / "data" / "lakehouse"))
    shown = lines_without_times(shared[1])
    for batch in (1, 2):
        for row in (
            lake.at(batch=batch).sql("select level, count(*) n from gold.users group by 1").to_pylist()
        ):
            assert f"{row['level']} {row['n']}" in shown


def test_without_java_one_line_says_what_to_install(shared: tuple[Path, str]) -> None:
    (line,) = [line for line in shared[1].splitlines() if line.startswith("6.")]
    assert "install Java 17 or 21" in line
    assert "lakehouse-spark" not in shared[1]


def test_the_readme_shows_lines_the_demo_prints(shared: tuple[Path, str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"```console\n\$ make demo\n(.*?)\n6\. ", readme, re.DOTALL)
    assert shown is not None
    printed = masked(shared[1].splitlines())
    assert [line for line in masked(shown[1].splitlines()) if line not in (*printed, "…")] == []


def test_tables_that_differ_are_named_and_equal_ones_are_not(shared: tuple[Path, str]) -> None:
    lake = Lakehouse.open(lake=str(shared[0] / "data" / "lakehouse"))
    assert list(different(lake, lake, GOLD)) == []
    assert list(different(lake, lake.at(batch=1), GOLD)) == ["gold.songplays", "gold.users", "gold.time"]


def test_a_lake_with_other_data_in_it_is_not_deleted(again: Path) -> None:
    own = again / "own" / "log_data"
    own.mkdir(parents=True)
    shutil.copy(max((again / "data/sample/log_data").rglob("*.json")), own)
    assert python(again, "lakehouse.py", "run", "--log-data", str(own)).returncode == 0
    refused = python(again, "-m", "runtime.demo")
    assert refused.returncode == 2
    assert f"data/lakehouse holds more than the demo's sample: {own}" in refused.stdout
    assert "3" in python(again, "lakehouse.py", "history", "--format", "csv").stdout


def test_a_lake_the_demo_did_not_make_is_not_deleted(again: Path) -> None:
    (again / "data" / ".demo").unlink()
    refused = python(again, "-m", "runtime.demo")
    assert refused.returncode == 2
    assert "the demo did not make it" in refused.stdout
    assert (again / "data" / "lakehouse" / "gold" / "users").is_dir()


def test_all_on_spark_without_java_ends_before_anything_is_made(tmp_path: Path) -> None:
    folder = check_out(tmp_path / "new")
    refused = python(folder, "-m", "runtime.demo", "--engine", "spark", path=str(tmp_path))
    assert refused.returncode == 2
    assert "Java was not found" in refused.stdout
    assert not (folder / "data").exists()
