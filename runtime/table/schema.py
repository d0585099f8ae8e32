"""Schemas: Spark DDL with comments, parsed once and converted for each library."""

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
    """One column: Spark's type name, NOT NULL or not, and the comment."""

    name: str
    type: str
    required: bool
    comment: str

    @property
    def duckdb_type(self) -> str:
        element = re.fullmatch(r"array<(\w+)>", self.type)
        if element:
            return DUCKDB_TYPES.get(element[1], element[1].upper()) + "[]"
        return DUCKDB_TYPES.get(self.type, self.type.upper())


def parse_ddl(ddl: str) -> tuple[Column, ...]:
    """Parse `name type [not null] [comment '…'], …`. Raises ValueError with the text that does not parse."""
    columns, position = [], 0
    while position < len(ddl.rstrip()):
        match = COLUMN.match(ddl, position)
        if match is None or match.end() == position:
            raise ValueError(f"cannot read the schema at {ddl[position : position + 40]!r}")
        comment = (match["comment"] or "").replace("''", "'")
        columns.append(Column(match["name"], match["type"].lower(), bool(match["required"]), comment))
        position = match.end()
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
