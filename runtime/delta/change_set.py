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

    `after`: the new rows of inserts and updates; `before`: the old rows of updates and deletes; None without
    any. `rejects`: records that a silver table rejected. `records` and `reasons`: their counts by outcome and
    by reason. `lost`: messages about records that lost to a record of another owner.
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
        return not (self.inserted or self.updated or self.deleted)


NOTHING = Changes()
