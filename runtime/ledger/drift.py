"""Tables whose declared schema or rules differ from the lake's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtime.ledger.facts import Facts
from runtime.table import Table, fingerprints


def changed_shapes(tables: Mapping[str, Table], known: Facts) -> list[str]:
    """Tables whose declared schema or key differs from the lake's."""
    stored = known.last.schemas if known.last else {}
    return [n for n, t in tables.items() if n in stored and stored[n] != fingerprints.shape(t)]


def changed_rules(tables: Mapping[str, Table], known: Facts) -> Sequence[str]:
    """Tables whose rows were made by other rules than the current ones."""
    stored = known.last.fingerprints if known.last else {}
    return [n for n, t in tables.items() if n in stored and stored[n] != fingerprints.rules(t)]
