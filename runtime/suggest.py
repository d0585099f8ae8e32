"""The nearest right name, for errors about a wrong one."""

from collections.abc import Iterable
from difflib import get_close_matches

from runtime.errors import UsageError


def nearest(name: str, names: Iterable[str], prefix: str = "") -> str:
    """`; did you mean <prefix>x?` for the most similar of the names, or nothing."""
    folded = {other.casefold(): other for other in names}
    close = get_close_matches(name.casefold(), folded, n=1)
    return f"; did you mean {prefix}{folded[close[0]]}?" if close else ""


def no_such_table(name: str, tables: Iterable[str]) -> UsageError:
    """The error about a table that a query names and the lake does not have."""
    known = sorted(tables)
    return UsageError(
        f"query: there is no table {name!r}{nearest(name, known) or '.'} The lake holds: {', '.join(known)}."
    )
