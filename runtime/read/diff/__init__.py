"""What changed between two batches, row by row."""

from runtime.read.diff.changes import Change, Diff, TableDiff
from runtime.read.diff.compare import around_optimize, compare

__all__ = ["Change", "Diff", "TableDiff", "around_optimize", "compare"]
