"""Map an engine's error to the file and line of the table declaration that caused it."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import LayerError, first_line, is_file_gone, is_refused

if TYPE_CHECKING:
    from runtime.table import Table

# Exceptions of engines for a wrong statement, and for a value that an expression cannot take.
STATEMENTS = {
    "AnalysisException", "ParseException", "ArithmeticException", "NumberFormatException",
    "DateTimeException", "ArrayIndexOutOfBoundsException", "IllegalArgumentException",
    "SparkRuntimeException",
}  # fmt: skip
NAMED = re.compile(r"[`'\"]([\w.]+)[`'\"]")


def layer_error(table: Table, fault: Exception, lake: str | None = None) -> LayerError | None:
    """The fault as an error of the table's declaration; None when the declaration is not its cause."""
    file = Path(table.build.__code__.co_filename)
    frames = [f.lineno for f in traceback.extract_tb(fault.__traceback__) if Path(f.filename) == file]
    kinds = {kind.__name__ for kind in type(fault).__mro__}
    is_gone = lake is not None and is_file_gone(fault, lake)
    if is_refused(fault) or is_gone or not (frames or kinds & STATEMENTS):
        return None
    line = frames[-1] if frames else _line(table, file, str(fault))
    return LayerError(
        f"{table.name}: its rows cannot be computed: {first_line(fault)} Look at {file}:{line}, then run "
        "again. Nothing of this batch was published."
    )


def _line(table: Table, file: Path, message: str) -> int:
    """The line of the first name from the message, searched from `build` on first.

    An engine fails after `build` returned, so the traceback has no line of it.
    """
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
