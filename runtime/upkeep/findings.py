"""What `doctor` reports: one Finding per check."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Finding:
    """`check` is what was checked, `found` the result, `mend` the command that fixes it ('' for none)."""

    check: str
    found: str
    mend: str = ""

    @property
    def is_well(self) -> bool:
        """Whether there is nothing to fix."""
        return not self.mend

    def as_dict(self) -> dict[str, object]:
        """`check`, `ok`, `found`, `mend`."""
        return {"check": self.check, "ok": self.is_well, **asdict(self)}
