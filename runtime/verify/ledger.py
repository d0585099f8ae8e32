"""Check that the ledger can be read, was written by this program only, and is consistent."""

from __future__ import annotations

from collections.abc import Iterator

from runtime.errors import LakehouseError
from runtime.ledger.facts import Facts, State
from runtime.ledger.ledger import Ledger
from runtime.ledger.session import LakeContext
from runtime.verify.verdict import Check, first_line, judged

OUTCOMES = ("accepted", "duplicate", "superseded", "quarantined")
NEWEST = 1_000  # commits whose author is checked: a ledger gets thousands a month
MEND = "Put the folder _ledger back from a backup"


def read_ledger(context: LakeContext) -> tuple[Ledger, Facts] | Check:
    """The ledger and its facts, or a failed Check if it cannot be read."""
    try:
        ledger = context.ledger()
        return ledger, ledger.contents()
    except LakehouseError:
        raise
    except Exception as damage:
        message = f"{context.store.uri('_ledger')} cannot be read: {first_line(damage)}. {MEND}."
        return Check("ledger", None, False, message)


def check_ledger(ledger: Ledger, known: Facts) -> Check:
    """The check `ledger`: one for the ledger as a whole."""
    wrong = [*_foreign(ledger), *_inconsistent(known)]
    fine = f"batches: {len(known.batches):,}, deliveries: {len(known.deliveries):,}"
    return judged("ledger", None, wrong, fine=fine, fix=f"{MEND}.")


def is_sound(known: Facts) -> bool:
    """Whether all states lead back to a first one, and all deliveries they name exist."""
    return not [*_broken_chain(known), *_lost_deliveries(known)]


def _foreign(ledger: Ledger) -> Iterator[str]:
    """Commits that were made without the lease."""
    for commit in ledger.commits(NEWEST):
        if "lease" not in commit and not commit["operation"].startswith("CREATE"):
            yield f"its commit {commit['version']} ({commit['operation']}) was made by somebody else"


def _inconsistent(known: Facts) -> Iterator[str]:
    yield from _broken_chain(known)
    yield from _lost_deliveries(known)
    for state in known.batches.values():
        records = state.records
        if records and records["delivered"] != sum(records[name] for name in OUTCOMES):
            yield f"the records of batch {state.batch_id} do not add up: {_sum(state)}"


def _broken_chain(known: Facts) -> Iterator[str]:
    for state in known.batches.values():
        if state.base is not None and not (state.base in known.batches and state.base < state.batch_id):
            yield f"batch {state.batch_id} stands on batch {state.base}, which is not in it"


def _lost_deliveries(known: Facts) -> Iterator[str]:
    for state in known.batches.values():
        for delivery in (*state.deliveries, *map(int, state.partial)):
            if delivery not in known.deliveries:
                yield f"delivery {delivery}, taken in by batch {state.batch_id}, is not in it"


def _sum(state: State) -> str:
    parts = " + ".join(f"{state.records[name]:,} {name}" for name in OUTCOMES)
    return f"{state.records['delivered']:,} delivered, but {parts}"
