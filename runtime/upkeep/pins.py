"""Pins: batches that every vacuum keeps, each with a label that says why."""

from __future__ import annotations

from runtime.errors import UsageError
from runtime.ledger.facts import pin_row, unpin_row
from runtime.ledger.history import state_of
from runtime.ledger.lease import claim
from runtime.ledger.session import LakeContext


def pin(context: LakeContext, batch: int, label: str) -> None:
    """Keep a batch readable until it is unpinned; a pinned batch gets the new label.

    Raises UsageError when the batch cannot be read, LeaseHeld, Fenced.
    """
    ledger = context.ledger()
    context.last_of(ledger.contents())
    with claim(ledger, "pin", context.settings.lease_seconds) as owner:
        facts = ledger.contents()
        state_of(facts, batch)
        if facts.pins.get(batch) != label:
            owner.commit([pin_row(batch, label)])


def unpin(context: LakeContext, batch: int) -> str:
    """Remove the pin from a batch and return its label. Raises UsageError when it has none."""
    ledger = context.ledger()
    context.last_of(ledger.contents())
    with claim(ledger, "unpin", context.settings.lease_seconds) as owner:
        pins = ledger.contents().pins
        if batch not in pins:
            listed = ", ".join(map(str, sorted(pins))) or "none"
            raise UsageError(f"unpin: batch {batch} is not pinned. Pinned: {listed}.")
        owner.commit([unpin_row(batch)])
    return pins[batch]
