"""What changed between two batches, row by row."""

from runtime.diff.changes import Change, Diff, TableDiff
from runtime.diff.compare import compare

__all__ = ["Change", "Diff", "TableDiff", "compare"]
