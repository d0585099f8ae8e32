"""Schemas: Spark DDL with comments, read once and turned into what each library wants."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

COLUMN = re.compile(
    r"""\s*(?P<name>\w+)\s+(?P<type>\w+(?:<\w+>)?)
        (?P<required>\s+not\s+null)?
        (?:\s+comment\s+'(?P<comment>(?:[^']|'')*)')?\s*(?:,|$)""",
    re.VERBOSE | re.IGNORECASE,
)
DELTA_TYPES = {"int": "integer", "bigint": "long"}
DUCKDB_TYPES = {"string": "VARCHAR", "int": "INTEGER", "timestamp": "TIMESTAMPTZ"}


@dataclass(frozen=True)
class Column:
    """One column: Spark's type name, whether NULL is refused, and what it means."""

    name: str
    type: str
    required: bool
    comment: str

    @property
    def duckdb_type(self) -> str:
        """DuckDB's name for the type."""
        element = re.fullmatch(r"array<(\w+)>", self.type)
        if element:
            return DUCKDB_TYPES.get(element[1], element[1].upper()) + "[]"
        return DUCKDB_TYPES.get(self.type, self.type.upper())


def parse_ddl(ddl: str) -> tuple[Column, ...]:
    """`name type [not null] [comment '…'], …` as columns. Raises ValueError where it cannot be read."""
    columns, position = [], 0
    while position < len(ddl.rstrip()):
        found = COLUMN.match(ddl, position)
        if found is None or found.end() == position:
            raise ValueError(f"cannot read the schema at {ddl[position : position + 40]!r}")
        comment = (found["comment"] or "").replace("''", "'")
        columns.append(Column(found["name"], found["type"].lower(), bool(found["required"]), comment))
        position = found.end()
    return tuple(columns)


def delta_schema(columns: tuple[Column, ...]) -> Any:
    """The columns as a `deltalake.Schema`, NOT NULL and comments included."""
    from deltalake import Field, Schema

    return Schema(
        [
            Field(
                c.name,
                _delta_type(c.type),
                nullable=not c.required,
                metadata={"comment": c.comment},
            )
            for c in columns
        ]
    )


def _delta_type(spark_type: str) -> Any:
    from deltalake.schema import ArrayType, PrimitiveType

    element = re.fullmatch(r"array<(\w+)>", spark_type)
    if element:
        return ArrayType(_delta_type(element[1]), contains_null=True)
    return PrimitiveType(DELTA_TYPES.get(spark_type, spark_type))
