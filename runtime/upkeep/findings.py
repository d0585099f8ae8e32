"""What a look at machine and lake tells: one finding a check."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Finding:
    """`check` is what was looked at, `found` what is so; `mend` the command that mends it, '' where all is
    well."""

    check: str
    found: str
    mend: str = ""

    @property
    def is_well(self) -> bool:
        """Whether there is nothing to mend."""
        return not self.mend

    def as_dict(self) -> dict[str, object]:
        """`check`, `ok`, `found`, `mend`."""
        return {"check": self.check, "ok": self.is_well, **asdict(self)}
