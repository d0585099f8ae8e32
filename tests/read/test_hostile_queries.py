"""`query` reads the lake's tables, and nothing that a statement says makes it do more."""

from __future__ import annotations

from pathlib import Path

import pytest

import gold
from lakehouse import Lakehouse
from runtime.cli import main
from runtime.engine import Engine
from runtime.errors import UsageError
from runtime.read.engine_query import run_on_engine
from tests.support.comparing import digests
from tests.support.deliveries import Deliveries, play, song
from tests.support.hostile_queries import DUCKDB, SPARK

pytestmark = pytest.mark.process

CONTROLS = {chr(code) for code in (*range(32), *range(127, 160), 0x202E)} - {"\n"}


@pytest.fixture(scope="module")
def published(engine: Engine, engine_name: str, tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """A small lake in a folder `lake`, and a file beside it that no query may see."""
    folder = tmp_path_factory.mktemp("hostile")
    sources = Deliveries(folder / "sources")
    sources.logs("a.json", [play(), play("2018-11-03 10:00:00", userId="8", level="paid")])
    sources.songs("a.json", [song()])
    (folder / "secret.csv").write_text("secret\n1\n", encoding="utf-8")
    lake = sources.lake(folder / "lake", engine_name)
    lake.run()
    (folder / "lake" / "unpublished.csv").write_text("secret\n1\n", encoding="utf-8")
    return lake


def folder_of(lake: Lakehouse) -> Path:
    return Path(lake.settings.lake).parent


def aimed(statement: str, lake: Lakehouse) -> str:
    return statement.format(lake=lake.settings.lake, outside=folder_of(lake))


def is_one_paragraph(text: str) -> bool:
    return "\n\n" not in text.strip() and not set(text) & CONTROLS and "Traceback" not in text


@pytest.mark.parametrize("statement", DUCKDB, ids=[s[:70] for s in DUCKDB])
def test_a_hostile_statement_is_refused_by_duckdb_and_changes_nothing(
    published: Lakehouse, capsys: pytest.CaptureFixture[str], statement: str
) -> None:
    before = digests(folder_of(published))
    code = main(["query", aimed(statement, published), f"--lake={published.settings.lake}"])
    ended = capsys.readouterr()
    assert (code, ended.out) == (2, "")
    assert is_one_paragraph(ended.err)
    assert digests(folder_of(published)) == before


@pytest.mark.engine
@pytest.mark.parametrize("statement", SPARK, ids=[s[:70] for s in SPARK])
def test_a_hostile_statement_is_refused_on_an_engine_and_changes_nothing(
    published: Lakehouse, engine: Engine, capfd: pytest.CaptureFixture[str], statement: str
) -> None:
    before = digests(folder_of(published))
    with pytest.raises(UsageError, match=r"^query: "):
        run_on_engine(published.at(), engine, aimed(statement, published))
    assert capfd.readouterr() == ("", "")
    assert digests(folder_of(published)) == before


@pytest.mark.parametrize("statement", SPARK[:3] + SPARK[-3:], ids=[s[:70] for s in SPARK[:3] + SPARK[-3:]])
def test_the_command_line_tells_of_it_in_one_paragraph(
    published: Lakehouse, capsys: pytest.CaptureFixture[str], statement: str
) -> None:
    words = ["query", aimed(statement, published), f"--lake={published.settings.lake}", "--engine=sail"]
    assert main(words) == 2
    ended = capsys.readouterr()
    assert ended.out == ""
    assert is_one_paragraph(ended.err)


@pytest.mark.parametrize(
    "statement",
    [
        "from gold.users",
        "TABLE Gold.Users",
        "describe gold.users",
        "summarize gold.users",
        "show all tables",
        "explain select * from gold.users",
        "EXPLAIN ANALYZE\nfrom gold.users",
        "-- a remark\nselect 'drop table gold.users; --'",
        "with recursive t(n) as (select 1 union all select n + 1 from t where n < 3) from t, range(2)",
        "select *, row_number() over (partition by level order by user_id) from gold.users using sample 100%",
        "pivot gold.users on level in ('free', 'paid') using count(*)",
        "select list_transform([1], lambda x: x + 1), (select max(user_id) from gold.users)",
        "select table_name from information_schema.tables",
        "with A as (select 1), b as (from a) select (select 1 from B), * from (from b) c, lateral (from A)",
        "with a as (select 1) from a union all (with b as (from a) select b.* from b, a)",
        "with a as (with a as (select 1) from a) from a where exists (from a)",
        "with recursive a as (select 1 as n), t as (from a union select 2 from t, A b where t.n < 9) from t",
        "with recursive t(n) as (with o as (select 1) from o union all select 2 from t where n < 2) from t",
    ],
)
def test_a_reading_statement_of_duckdb_is_none_of_these(published: Lakehouse, statement: str) -> None:
    assert published.sql(statement).num_rows


@pytest.mark.engine
@pytest.mark.parametrize(
    "statement",
    [
        "from gold.users",
        "values (1), (2)",
        "select 1 as n; -- a remark",
        "select /*+ broadcast(u) */ U.level, count(*) from Gold.Users u group by 1",
        "select * from gold.users lateral view explode(array(1, 2)) e as n",
        "with t as (from gold.users) select named_struct('a', t.level), xxhash64(1) from t, range(2)",
        "select '${env:HOME}' as text",
        "explain select 1",
        "describe gold.users",
        "show tables",
        "with A as (select 1 as n), b as (select a.n from a) select A.n, B.n from B, a where 1 in (from b)",
        "with a as (select 1) select * from a union all (with b as (select * from a) select * from b)",
        "select max_by(level, user_id) filter (where user_id > 1), array(1)[0] from gold.users",
        "select users.level, gold.users.user_id from gold.users where level in ('free')",
        "select year(start_time), date_format(start_time, 'EEEE') from gold.songplays order by 1 limit 1",
    ],
)
def test_a_reading_query_on_an_engine_is_none_of_these(
    published: Lakehouse, engine: Engine, statement: str
) -> None:
    assert run_on_engine(published.at(), engine, statement).num_rows


@pytest.mark.engine
def test_what_an_engine_refuses_is_told_once(
    published: Lakehouse, engine: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="no_such_column"):
        run_on_engine(published.at(), engine, "select no_such_column from gold.users")
    assert capfd.readouterr() == ("", "")


@pytest.mark.engine
def test_an_engine_puts_no_environment_variable_into_a_query(published: Lakehouse, engine: Engine) -> None:
    found = run_on_engine(published.at(), engine, "select '${env:HOME}' as text").to_pylist()
    assert found == [{"text": "${env:HOME}"}]


def test_every_table_can_be_read_by_name(published: Lakehouse) -> None:
    for name in gold.TABLES:
        assert published.sql(f"select count(*) n from {name}").num_rows == 1
