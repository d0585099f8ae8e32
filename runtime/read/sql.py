"""Quote names and text for SQL."""

from __future__ import annotations


def text_literal(value: str) -> str:
    """Text as a SQL literal, its quotes doubled."""
    return "'" + value.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A name as a SQL identifier, its quotes doubled."""
    return '"' + name.replace('"', '""') + '"'
