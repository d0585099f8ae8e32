"""Errors that a table's own code or SQL makes, with the file and the line to look at."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import LayerError, first_line, is_file_gone, is_refused

if TYPE_CHECKING:
    from runtime.table import Table

# What engines raise for a statement that is wrong, and for a value that an expression cannot take.
STATEMENTS = {
    "AnalysisException", "ParseException", "ArithmeticException", "NumberFormatException",
    "DateTimeException", "ArrayIndexOutOfBoundsException", "IllegalArgumentException",
    "SparkRuntimeException",
}  # fmt: skip
NAMED = re.compile(r"[`'\"]([\w.]+)[`'\"]")


def layer_error(table: Table, fault: Exception, lake: str) -> LayerError | None:
    """The error of a table at work as one of its declaration; None where something else is to blame."""
    file = Path(table.build.__code__.co_filename)
    frames = [f.lineno for f in traceback.extract_tb(fault.__traceback__) if Path(f.filename) == file]
    kinds = {kind.__name__ for kind in type(fault).__mro__}
    if is_refused(fault) or is_file_gone(fault, lake) or not (frames or kinds & STATEMENTS):
        return None
    line = frames[-1] if frames else _line(table, file, str(fault))
    return LayerError(
        f"{table.name}: its rows cannot be computed: {first_line(fault)} Look at {file}:{line}, then run "
        "again. Nothing of this batch was published."
    )


def _line(table: Table, file: Path, message: str) -> int:
    """Where the source names what the message names, from `build` on first. A plan fails after it is made."""
    begin = table.build.__code__.co_firstlineno
    numbered = list(enumerate(file.read_text(encoding="utf-8").splitlines(), 1))
    for name in _names(message):
        word = re.compile(rf"\b{re.escape(name)}\b")
        for number, text in [*numbered[begin - 1 :], *numbered[: begin - 1]]:
            if word.search(text):
                return number
    return begin


def _names(message: str) -> Iterator[str]:
    for name in NAMED.findall(message):
        yield name.rpartition(".")[2]
