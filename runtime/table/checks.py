"""Whether tables are declared so that every batch can be taken in. A run checks it before it writes.

What follows from the declaration alone is checked at once; what `build` makes, on no rows, by the engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import DeclarationError
from runtime.process.profiling import step
from runtime.table import (
    Collect,
    Deliver,
    Fold,
    Lookup,
    Merge,
    Periods,
    Records,
    Rejects,
    Rows,
    Table,
    Upsert,
)
from runtime.text.nearest import nearest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

REJECTED = "raw string, _reasons array<string>, _source_file string, _source_line bigint, _delivery bigint"
PROVENANCE = ("record", "_source_file", "_source_line", "_delivery")  # what silver needs of a record's row
COMPLEX = re.compile(r"array|map|struct|binary")


def check_declarations(tables: Mapping[str, Table]) -> None:
    """Raises DeclarationError, which lists every problem with table, field and the nearest right name."""
    _raise_any(problem for table in tables.values() for problem in _problems(table, tables))


@step("check what build makes")
def check_builds(spark: SparkSession, tables: Iterable[Table]) -> None:
    """Build tables from no rows. Raises DeclarationError where that is not what they declare."""
    _raise_any(problem for table in tables if table.inputs for problem in _built_otherwise(spark, table))


def _raise_any(problems: Iterator[str]) -> None:
    if found := list(problems):
        raise DeclarationError("\n".join([*found, "Nothing was written."]))


def _problems(table: Table, tables: Mapping[str, Table]) -> Iterator[str]:
    columns, write = table.column_names, table.write
    needed = {c.name for c in table.columns if c.required}
    own: dict[str, Iterable[str]] = {"partition_by": table.partition_by, "references": table.references}
    if isinstance(write, Merge):
        own |= {"key": write.key, "newest_by": write.newest_by}
    elif isinstance(write, Upsert):
        own |= {"key": write.key, "identity": write.identity}
    for field, names in own.items():
        yield from _unknown(table, field, names, columns, "its columns")
        for name in names:
            if field != "references" and name in columns and name not in needed:
                yield f"{table.name}: {field}: {name} may be NULL; declare it `not null`."
    for name in {name for name in columns if columns.count(name) > 1}:
        yield f"{table.name}: schema: {name} is declared twice."
    for given in table.inputs:
        yield from _unknown(table, "inputs", [given.table.name], tables, "the tables of the lake")
        yield from _input_problems(table, given)
    yield from _order_problems(table)


def _input_problems(table: Table, given: object) -> Iterator[str]:
    """What an input names: columns of ours, and of the table it reads."""
    ours, theirs = dict[str, Iterable[str]](), dict[str, Iterable[str]]()
    if isinstance(given, Rows | Fold):
        theirs["key"] = given.key
        if isinstance(table.write, Merge) and len(given.key) != len(table.write.key):
            yield (
                f"{table.name}: {_kind(given)} names {len(given.key)} key columns ({', '.join(given.key)}), "
                f"the table has {len(table.write.key)} ({', '.join(table.write.key)})."
            )
    if isinstance(given, Fold):
        theirs["since"] = [given.since[0]] if given.since else []
        ours["made_by"], theirs["made_by"] = [a for a, _ in given.made_by], [b for _, b in given.made_by]
    if isinstance(given, Lookup):
        theirs["theirs"] = given.theirs
        first = table.inputs[0].table
        yield from _unknown(
            table, "Lookup.ours", given.ours, first.column_names, f"the columns of {first.name}"
        )
        if len(given.ours) != len(given.theirs):
            yield f"{table.name}: Lookup: {len(given.ours)} columns ours, {len(given.theirs)} theirs."
    if isinstance(given, Periods):
        theirs["key, value, at, day"] = (*given.key, *given.value, given.at, given.day)
        ours["key, value, begins, ends"] = (*given.key, *given.value, given.begins, given.ends)
    read = given.table if isinstance(given, Rows | Fold | Lookup | Periods) else table
    for field, names in theirs.items():
        there = f"the columns of {read.name}"
        yield from _unknown(table, f"{_kind(given)}.{field}", names, read.column_names, there)
    for field, names in ours.items():
        yield from _unknown(table, f"{_kind(given)}.{field}", names, table.column_names, "its columns")


def _order_problems(table: Table) -> Iterator[str]:
    """Which inputs go together: what another way of writing would fill once and then not keep up to date."""
    kinds = [type(given) for given in table.inputs]
    allowed: dict[type, tuple[tuple[type, ...], tuple[type, ...]]] = {
        Deliver: ((), ()),
        Upsert: ((Records,), ()),
        Collect: ((Rejects,), (Rejects,)),
        Merge: ((Rows, Fold, Periods), (Lookup,)),
    }
    first, more = allowed[type(table.write)]
    if bool(first) != bool(kinds) or (kinds and kinds[0] not in first):
        names = " or ".join(kind.__name__ for kind in first) or "no input"
        yield f"{table.name}: inputs: {_kind(table.write)} takes {names} first."
    for given in table.inputs[1:]:
        if not isinstance(given, more) or (isinstance(given, Lookup) and kinds[0] is not Rows):
            yield (
                f"{table.name}: inputs: {_kind(table.inputs[0])} takes no {_kind(given)} of "
                f"{given.table.name}: a change of it would not reach the table. Join it in a table of Rows, "
                "and read that one."
            )


def _unknown(
    table: Table, field: str, names: Iterable[str], known: Iterable[str], where: str
) -> Iterator[str]:
    there = list(known)
    for name in names:
        if name not in there:
            yield f"{table.name}: {field}: {name!r} is not among {where}{nearest(name, there) or '.'}"


def _kind(given: object) -> str:
    return type(given).__name__


def _built_otherwise(spark: SparkSession, table: Table) -> Iterator[str]:
    """What is wrong with the columns that `build` makes."""
    try:
        made = {f.name: f.dataType.simpleString() for f in table.build(*_no_rows(spark, table)).schema.fields}
    except Exception as refused:
        yield f"{source(table)}: {table.name}: build fails: {first_line(refused)}"
        return
    wanted = {c.name: c.type for c in table.columns if c.name in table.content}
    missing = [name for name in wanted if name not in made]
    if isinstance(table.write, Upsert):
        missing += [name for name in PROVENANCE if name not in made]
    for name in missing:
        yield f"{source(table)}: {table.name}: build gives no column {name!r}{nearest(name, made) or '.'}"
    for name, declared in wanted.items():
        given = made.get(name, declared)
        if given != declared and (COMPLEX.match(given) or COMPLEX.match(declared)):
            yield f"{source(table)}: {table.name}: build gives {name} as {given}, the schema says {declared}."


def _no_rows(spark: SparkSession, table: Table) -> list[DataFrame]:
    frames = []
    for given in table.inputs:
        declared = [f"cast(null as {c.type}) as {c.name}" for c in given.table.columns]
        if isinstance(given, Rejects):
            pairs = (pair.split() for pair in REJECTED.split(", "))
            declared = [f"cast(null as {type_}) as {name}" for name, type_ in pairs]
        frames.append(spark.sql(f"select {', '.join(declared)} where false"))
    return frames


def source(table: Table) -> str:
    """The file and line of a table's `build`."""
    code = table.build.__code__
    file = Path(code.co_filename)
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return f"{shown}:{code.co_firstlineno}"


def first_line(error: Exception) -> str:
    """What an engine says, without the plan that it prints below."""
    return str(error).strip().partition("\n")[0]
