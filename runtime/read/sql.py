"""Names and texts quoted for SQL."""

from __future__ import annotations


def text_literal(value: str) -> str:
    """A text as a SQL literal, its quotes doubled."""
    return "'" + value.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A name as a SQL identifier, whatever stands in it."""
    return '"' + name.replace('"', '""') + '"'
