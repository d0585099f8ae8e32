"""The result of verify: one Check per question and table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from runtime.errors import LakehouseError

SHOWN = 10  # details listed for one check


@dataclass(frozen=True)
class Check:
    """One question and its answer. `table` is None for the whole lake."""

    check: str
    table: str | None
    ok: bool
    found: str
    detail: Sequence[str] = ()


@dataclass(frozen=True)
class Verdict:
    """All answers about the state of one batch."""

    batch_id: int | None
    checks: Sequence[Check]
    refused: LakehouseError | None = None  # why the comparison with a rebuild was not made

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return all(check.ok for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """The shape that `verify --format json` prints."""
        return {"ok": self.ok, "batch_id": self.batch_id, "checks": [asdict(c) for c in self.checks]}


def judged(check: str, table: str | None, wrong: Iterable[str], *, fine: str, fix: str) -> Check:
    """The Check that lists what is wrong, with the fix, or says that nothing is."""
    problems = list(wrong)
    if not problems:
        return Check(check, table, True, fine)
    rest = len(problems) - SHOWN
    lines = [*problems[:SHOWN], *([f"… and {rest:,} more"] if rest > 0 else [])]
    first, *others = lines
    return Check(check, table, False, f"{first}. {fix}", others)


def first_line(error: BaseException) -> str:
    """An error's type and the first line of its message, at most 300 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:300]
