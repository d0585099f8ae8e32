"""The nearest right name, for errors about a wrong one."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, names: Iterable[str], prefix: str = "") -> str:
    """`; did you mean <prefix>x?` for the most similar of the names, or nothing."""
    folded = {other.casefold(): other for other in names}
    close = get_close_matches(name.casefold(), folded, n=1)
    return f"; did you mean {prefix}{folded[close[0]]}?" if close else ""
