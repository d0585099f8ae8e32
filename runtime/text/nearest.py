"""Suggests the most similar valid name, for errors about an unknown one."""

from collections.abc import Iterable
from difflib import get_close_matches

from runtime.errors import UsageError


def nearest(name: str, names: Iterable[str], prefix: str = "") -> str:
    """`; did you mean <prefix>x?` for the most similar of the names, or an empty text."""
    folded = {other.casefold(): other for other in names}
    close = get_close_matches(name.casefold(), folded, n=1)
    return f"; did you mean {prefix}{folded[close[0]]}?" if close else ""


def nearest_table(name: str, tables: Iterable[str]) -> str:
    """As `nearest`, for a table name that may lack its layer; gold is preferred among equal matches."""
    if "." in name:
        return nearest(name, tables)
    bare = {table.rpartition(".")[2]: table for table in sorted(tables, key=lambda t: t.startswith("gold."))}
    close = get_close_matches(name.casefold(), bare, n=1)
    return f"; did you mean {bare[close[0]]}?" if close else ""


def no_such_table(command: str, name: str, tables: Iterable[str]) -> UsageError:
    """The error of a command for the name of a table that the lake does not have."""
    ordered = sorted(tables)
    return UsageError(
        f"{command}: there is no table {name!r}{nearest_table(name, ordered) or '.'} "
        f"The lake holds: {', '.join(ordered)}."
    )
