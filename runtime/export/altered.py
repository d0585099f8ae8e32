"""What others changed in exported tables, as far as columns and row counts show.

The record table in the target says how the tables were declared and which batch they hold. The lake knows
both, so it can check an export of any age.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runtime.export.ddl import Star, bare, columns_of, key_of, kind
from runtime.export.target import Target
from runtime.read.sql import text_literal

# A column that was dropped and added again has another number, and NULL in the existing rows.
ALTERED = """
    select wanted."table" || '.' || wanted."column"
    from (values {wanted}) as wanted ("table", "column", type, number, in_key)
    where not exists (
        select from pg_namespace n
            join pg_class t on t.relnamespace = n.oid and t.relkind = 'r'
            join pg_attribute c on c.attrelid = t.oid
            left join pg_constraint k on k.conrelid = t.oid and k.contype = 'p'
        where n.nspname = {schema} and t.relname = wanted."table" and c.attname = wanted."column"
            and c.atttypid = to_regtype(wanted.type) and c.attnum = wanted.number
            and coalesce(array_position(k.conkey, c.attnum), 0) = wanted.in_key
    )
    order by 1
"""


def altered(target: Target, star: Star, found: set[str]) -> str | None:
    """The tables or columns that differ from their declaration, as text. Added columns are allowed."""
    gone = [bare(t) for t in star.tables if bare(t) not in found]
    if not gone:
        query = ALTERED.format(wanted=", ".join(_wanted(star)), schema=text_literal(star.schema))
        gone = [name for (name,) in target.rows(query)]
    return f"someone altered or dropped {', '.join(gone)}" if gone else None


def miscounted(target: Target, star: Star, wanted: Mapping[str, int]) -> str | None:
    """The tables with another row count than written, as text. Counting a million rows takes 0.1 s."""
    counts = (f"select {text_literal(t.name)}, count(*) from {star.name(t)}" for t in star.tables)
    actual = dict(target.rows(" union all ".join(counts)))
    wrong = [f"{bare(t)} has {actual[t.name]:,}" for t in star.tables if actual[t.name] != wanted[t.name]]
    return f"someone added or deleted rows: {', '.join(wrong)}" if wrong else None


def _wanted(star: Star) -> Iterator[str]:
    for table in star.tables:
        key = key_of(table)
        for number, column in enumerate(columns_of(table), start=1):
            texts = map(text_literal, (bare(table), column.name, kind(column)))
            in_key = key.index(column.name) + 1 if column.name in key else 0
            yield f"({', '.join(texts)}, {number}, {in_key})"
