"""One line about a published batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.text.amounts import count, file_text

if TYPE_CHECKING:
    from runtime.ledger.facts import State


OUTCOMES = ("accepted", "duplicate", "superseded", "quarantined")


def summary(state: State) -> str:
    kind = "" if state.kind == "run" else f" ({state.kind})"
    files = f"{file_text(state.files)}; " if state.files else ""
    records = count(state.records.get("delivered", 0), "record")
    outcomes = ", ".join(f"{state.records.get(name, 0):,} {name}" for name in OUTCOMES)
    return f"batch {state.batch_id}{kind}: {files}{records}: {outcomes}; {state.seconds:.1f} s"
