"""The change set of a table: its rows before and after a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Changes:
    """The change set of one table: its rows before and after this batch, by key.

    `after` holds the rows inserted or updated as they are now, `before` the rows updated or deleted as
    they were; None where there are none. `rejects` are the records a silver table refused, `lost` names
    those that lost to another owner's.
    """

    after: DataFrame | None = None
    before: DataFrame | None = None
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    rejects: DataFrame | None = None
    records: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    lost: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the table stays as it was."""
        return not (self.inserted or self.updated or self.deleted)


NOTHING = Changes()
