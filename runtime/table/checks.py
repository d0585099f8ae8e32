"""Checks of table declarations. A run makes them before it writes.

`check_declarations` needs no engine; `check_builds` has the engine run each `build` on no rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import DeclarationError, first_line
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
from runtime.table.layer_faults import layer_error
from runtime.table.schema import parse_ddl
from runtime.text.nearest import nearest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

REJECTED = parse_ddl(
    "raw string, _reasons array<string>, _source_file string, _source_line bigint, _delivery bigint"
)
PROVENANCE = ("record", "_source_file", "_source_line", "_delivery")  # silver's `build` must return these
COMPLEX = re.compile(r"array|map|struct|binary")


def check_declarations(tables: Mapping[str, Table]) -> None:
    """Raise DeclarationError, which lists every problem with table, field and the nearest right name."""
    _raise_any(problem for table in tables.values() for problem in _problems(table, tables))


@step("check what build makes")
def check_builds(spark: SparkSession, tables: Iterable[Table]) -> None:
    """Build each table from no rows. Raises DeclarationError where the columns differ from the schema."""
    _raise_any(problem for table in tables if table.inputs for problem in _built_otherwise(spark, table))


def _raise_any(problems: Iterator[str]) -> None:
    if lines := list(problems):
        raise DeclarationError("\n".join([*lines, "Nothing was written."]))


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
    for input_ in table.inputs:
        yield from _unknown(table, "inputs", [input_.table.name], tables, "the tables of the lake")
        yield from _input_problems(table, input_)
    yield from _order_problems(table)


def _input_problems(table: Table, input_: object) -> Iterator[str]:
    """Unknown columns that an input names, of this table and of the table it reads."""
    ours, theirs = dict[str, Iterable[str]](), dict[str, Iterable[str]]()
    if isinstance(input_, Rows | Fold):
        theirs["key"] = input_.key
        if isinstance(table.write, Merge) and len(input_.key) != len(table.write.key):
            yield (
                f"{table.name}: {_kind(input_)} names {len(input_.key)} key columns "
                f"({', '.join(input_.key)}), "
                f"the table has {len(table.write.key)} ({', '.join(table.write.key)})."
            )
    if isinstance(input_, Fold):
        theirs["since"] = [input_.since[0]] if input_.since else []
        ours["made_by"], theirs["made_by"] = [a for a, _ in input_.made_by], [b for _, b in input_.made_by]
    if isinstance(input_, Lookup):
        theirs["theirs"] = input_.theirs
        first = table.inputs[0].table
        yield from _unknown(
            table, "Lookup.ours", input_.ours, first.column_names, f"the columns of {first.name}"
        )
        if len(input_.ours) != len(input_.theirs):
            yield f"{table.name}: Lookup: {len(input_.ours)} columns ours, {len(input_.theirs)} theirs."
    if isinstance(input_, Periods):
        theirs["key, value, at, day"] = (*input_.key, *input_.value, input_.at, input_.day)
        ours["key, value, begins, ends"] = (*input_.key, *input_.value, input_.begins, input_.ends)
    read = input_.table if isinstance(input_, Rows | Fold | Lookup | Periods) else table
    for field, names in theirs.items():
        where = f"the columns of {read.name}"
        yield from _unknown(table, f"{_kind(input_)}.{field}", names, read.column_names, where)
    for field, names in ours.items():
        yield from _unknown(table, f"{_kind(input_)}.{field}", names, table.column_names, "its columns")


def _order_problems(table: Table) -> Iterator[str]:
    """Inputs that the way of writing cannot keep up to date: it would read them once, then miss changes."""
    kinds = [type(input_) for input_ in table.inputs]
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
    for input_ in table.inputs[1:]:
        if not isinstance(input_, more) or (isinstance(input_, Lookup) and kinds[0] is not Rows):
            yield (
                f"{table.name}: inputs: {_kind(table.inputs[0])} takes no {_kind(input_)} of "
                f"{input_.table.name}: a change of it would not reach the table. Join it in a table of Rows, "
                "and read that one."
            )


def _unknown(
    table: Table, field: str, names: Iterable[str], known: Iterable[str], where: str
) -> Iterator[str]:
    allowed = list(known)
    for name in names:
        if name not in allowed:
            yield f"{table.name}: {field}: {name!r} is not among {where}{nearest(name, allowed) or '.'}"


def _kind(value: object) -> str:
    return type(value).__name__


def _built_otherwise(spark: SparkSession, table: Table) -> Iterator[str]:
    """Columns of `build` that are missing or of another type than the schema's."""
    try:
        made = {f.name: f.dataType.simpleString() for f in table.build(*_no_rows(spark, table)).schema.fields}
    except Exception as refused:
        yield str(layer_error(table, refused) or f"{source(table)}: {table.name}: {first_line(refused)}")
        return
    expected = {c.name: c.type for c in table.columns if c.name in table.content}
    missing = [name for name in expected if name not in made]
    if isinstance(table.write, Upsert):
        missing += [name for name in PROVENANCE if name not in made]
    for name in missing:
        yield f"{source(table)}: {table.name}: build gives no column {name!r}{nearest(name, made) or '.'}"
    for name, declared in expected.items():
        built = made.get(name, declared)
        if built != declared and (COMPLEX.match(built) or COMPLEX.match(declared)):
            yield f"{source(table)}: {table.name}: build gives {name} as {built}, the schema says {declared}."


def _no_rows(spark: SparkSession, table: Table) -> list[DataFrame]:
    frames = []
    for input_ in table.inputs:
        columns = REJECTED if isinstance(input_, Rejects) else input_.table.columns
        nulls = ", ".join(f"cast(null as {c.type}) as {c.name}" for c in columns)
        frames.append(spark.sql(f"select {nulls} where false"))
    return frames


def source(table: Table) -> str:
    """The file and line of a table's `build`, relative to the working folder if below it."""
    code = table.build.__code__
    file = Path(code.co_filename)
    path = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return f"{path}:{code.co_firstlineno}"
