"""A name that is nearly right is answered with the right one, wherever names are given."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from runtime.cli import main
from runtime.errors import LakehouseError
from runtime.settings.load import load_settings

pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("statsu", "did you mean 'status'?"),
        ("help", "did you mean '--help'?"),
        ("hlep", "did you mean '--help'?"),
        ("quarantine help", "did you mean '--help'?"),
        ("quarantine lst", "did you mean 'list'?"),
        ("run --full-refesh", "did you mean '--full-refresh'?"),
        ("quarantine show --limt 3", "did you mean '--limit'?"),
        ("--tarket local status", "did you mean '--target'?"),
        ("history gold.user", "did you mean gold.users?"),
        ("history users", "did you mean gold.users?"),
        ("history usr", "did you mean gold.users? The lake holds: bronze.log_data, "),
        ("history zzz", "no table 'zzz'. The lake holds: bronze.log_data, "),
        ("diff 1 1 --table songplay", "did you mean gold.songplays?"),
        ("diff 1 1 --table silver.event", "did you mean silver.events?"),
        ("trace artist A1", "did you mean gold.artists?"),
        ("trace usrs 46", "did you mean gold.users? It holds: bronze.log_data, "),
        ("trace users 10000000000", "gold.users"),
        ("verify --table tine", "did you mean gold.time?"),
        ("verify --table evnts", "did you mean silver.events?"),
        ("optimize tine", "did you mean gold.time?"),
        ("optimize glod", "did you mean gold?"),
        ("optimize silver.song", "did you mean silver.songs?"),
        ("quarantine show level_known", "did you mean level_is_known?"),
        ("status --target locl", "did you mean local?"),
        ("status --set batch_byte=1", "did you mean batch_bytes?"),
        ("status --set s3.endpont=http://x", "did you mean s3.endpoint?"),
        ("query 'from gold.user'", "did you mean gold.users?"),
        ("query 'from glod.users'", "did you mean gold.users?"),
        ("query 'from usr'", "did you mean gold.users?"),
        ("query 'select user_idd from gold.users'", "user_id"),
        ("query 'select u.levle from gold.users u'", "did you mean u.level?"),
        ("query 'explain select users.levle from gold.users'", "did you mean users.level?"),
        ("query 'select S.titel from gold.users u join gold.songs s on true'", "did you mean s.title?"),
    ],
)
def test_the_command_line_names_what_was_meant(
    dirty_lake: Lakehouse, capsys: pytest.CaptureFixture[str], line: str, meant: str
) -> None:
    assert main([*shlex.split(line), "--lake", dirty_lake.settings.lake]) == 2
    assert meant in capsys.readouterr().err


@pytest.mark.parametrize(
    "statement",
    [
        "select s.levle from gold.users u join gold.songs s on true",
        "select c.levle from (select user_id from gold.users) c",
        "with c as (select user_id from gold.users) select c.levle from c",
    ],
)
def test_no_column_of_another_table_is_named(dirty_lake: Lakehouse, statement: str) -> None:
    with pytest.raises(LakehouseError, match=r'does not have a column named "levle"$'):
        dirty_lake.sql(statement)


@pytest.mark.parametrize(
    ("ask", "meant"),
    [
        (lambda lake: lake.table("gold.user"), "did you mean gold.users? It holds: "),
        (lambda lake: lake.table("users"), "did you mean gold.users?"),
        (lambda lake: lake.at(batch=1).table("silver.song"), "did you mean silver.songs?"),
        (lambda lake: lake.history("gold.tim"), "did you mean gold.time?"),
        (lambda lake: lake.diff(1, 1, tables=["artist"]), "did you mean gold.artists?"),
        (lambda lake: lake.diff(1, 1).table("artist"), "did you mean gold.artists?"),
        (lambda lake: lake.trace("song", "S1"), "did you mean gold.songs?"),
        (lambda lake: lake.optimize("bronce"), "did you mean bronze?"),
        (lambda lake: lake.verify(["user"]), "did you mean gold.users?"),
        (lambda lake: lake.quarantine.records("level_is_know"), "did you mean level_is_known?"),
        (lambda _: Lakehouse.open(song_date="x"), "did you mean --song-data?"),
        (lambda _: Lakehouse.open(set=["histroy_days=1"]), "did you mean history_days?"),
    ],
)
def test_python_names_what_was_meant(
    dirty_lake: Lakehouse, ask: Callable[[Lakehouse], object], meant: str
) -> None:
    with pytest.raises(LakehouseError, match=meant.replace("?", r"\?")):
        ask(dirty_lake)


def test_a_variable_of_the_environment_is_answered_in_its_own_form() -> None:
    with pytest.raises(LakehouseError, match="did you mean LAKEHOUSE_S3__REGION"):
        load_settings(environ={"LAKEHOUSE_S3_REGION": "eu-central-1"})


def test_a_source_that_is_not_there_is_answered_with_one_beside_it(tmp_path: Path) -> None:
    (tmp_path / "song_data").mkdir()
    with pytest.raises(LakehouseError, match=r"did you mean .*/song_data"):
        Lakehouse.open(lake=str(tmp_path / "lake"), song_data=str(tmp_path / "songdata")).plan()
