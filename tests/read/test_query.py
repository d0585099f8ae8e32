"""What a statement may do on an engine: read the lake's tables, by the parser's word for it."""

from __future__ import annotations

import pytest

import gold
from runtime.errors import UsageError
from runtime.read.spark_sql import over_views, reading_query


def rewritten(statement: str) -> str:
    return over_views(reading_query(statement), gold.TABLES, batch_id=3)[0]


@pytest.mark.parametrize(
    "statement",
    [
        "drop table gold.users",
        "delete from gold.users",
        "insert into gold.users select * from gold.users",
        "create table x as select 1",
        "set spark.sql.ansi.enabled = false",
        "select 1; drop table gold.users",
        "select * from parquet.`/etc`",
        "select * from text.`/etc/passwd`",
        "select * from delta.`/tmp/lake/gold/users`",
        "select * from (select * from csv.`/etc/passwd`)",
        "with gold as (select 1) select * from json.`/etc/passwd`",
        "select reflect('java.lang.System', 'exit', 1)",
        "select java_method('java.lang.Runtime', 'getRuntime')",
        "select * from spark_catalog.gold.users",
        "select * from default.users",
        "",
        "this is no sql",
    ],
)
def test_what_does_not_read_the_lake_is_refused(statement: str) -> None:
    with pytest.raises(UsageError):
        rewritten(statement)


def test_tables_are_read_through_views_of_the_batch_under_their_own_names() -> None:
    query = rewritten("select time.hour, gold.time.day from gold.time join silver.events on true")
    assert "lake_3_gold_time AS `time`" in query
    assert "lake_3_silver_events AS `events`" in query
    assert "gold.time" not in query


def test_a_name_that_is_near_a_table_suggests_it() -> None:
    with pytest.raises(UsageError, match=r"did you mean gold\.users\?"):
        rewritten("select * from gold.user")


def test_a_query_may_name_its_own_parts_like_tables() -> None:
    assert "lake_3" not in rewritten("with users as (select 1 as n) select n from users")
