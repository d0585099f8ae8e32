"""The prompt without its terminal: run statements and commands over a snapshot."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from runtime.cli.context import Invocation, warn
from runtime.cli.output import emit_rows
from runtime.cli.prompt.parse import is_command, is_goodbye, statements
from runtime.cli.query import answer
from runtime.errors import LakehouseError, UsageError
from runtime.lake import Lakehouse
from runtime.read.snapshot import Snapshot
from runtime.text.nearest import nearest

FORMATS = ("table", "json", "csv")
HELP = """\
A statement ends with a semicolon and may take several lines. TAB completes tables, columns and keywords.
  \\d                tables
  \\d gold.users     columns of a table, and what they mean
  .batch N          the lake as batch N published it; without N, the newest
  .as-of TIME       the lake as last published at TIME, as in 2026-11-20 10:00; UTC without an offset
  .format FORM      table, json or csv
  .help, \\?         this
  .quit, \\q         leave; so do quit, exit and Ctrl-D. Ctrl-C drops the line, or stops the statement."""


class Leave(Exception):
    """The user leaves the prompt."""


@dataclass
class Conversation:
    """The state of one prompt: the lake, its snapshot, and the output format."""

    invocation: Invocation
    lake: Lakehouse
    snapshot: Snapshot

    @property
    def mark(self) -> str:
        """The text before the cursor."""
        return f"batch {self.snapshot.batch_id}> "

    @cached_property
    def _commands(self) -> Mapping[str, Callable[[str], None]]:
        return {
            "\\d": self._describe, ".batch": self._batch, ".as-of": self._as_of, ".format": self._format,
            ".help": self._help, ".quit": self._leave, "\\?": self._help, "\\q": self._leave,
        }  # fmt: skip

    def arguments(self) -> dict[str, Sequence[str]]:
        """Every command with its possible arguments."""
        choices = {
            "\\d": sorted(self.snapshot.versions),
            ".batch": [str(state["batch_id"]) for state in self.lake.history()],
            ".format": FORMATS,
        }
        return {name: choices.get(name, ()) for name in self._commands}

    def columns(self) -> dict[str, Sequence[str]]:
        return {name: self.lake.tables[name].column_names for name in self.snapshot.versions}

    def say(self, text: str) -> None:
        """Run one input and print its errors; the prompt goes on. Raises Leave."""
        if is_goodbye(text):
            raise Leave
        try:
            if is_command(text):
                self._obey(text.strip().rstrip(";"))
            else:
                for statement in statements(text):
                    answer(self.invocation, self.snapshot, statement)
        except KeyboardInterrupt:
            warn("stopped.")
        except LakehouseError as wrong:
            self._tell(f"error: {wrong}")
        except Leave:
            raise
        except Exception as fault:
            self._tell(f"error: {type(fault).__name__}: {fault}")

    def _tell(self, message: str) -> None:
        warn(message)
        if self.invocation.debug:
            warn(traceback.format_exc())

    def _obey(self, line: str) -> None:
        name, _, argument = line.partition(" ")
        command = self._commands.get(name)
        if command is None:
            raise UsageError(
                f"there is no command {name!r}{nearest(name, self._commands) or '.'} .help lists them."
            )
        command(argument.strip())

    def _describe(self, name: str) -> None:
        if not name:
            counted = {n: self.snapshot.state.tables[n]["rows"] for n in self.snapshot.versions}
            rows = [(n, self.lake.tables[n].grain, count) for n, count in counted.items()]
            emit_rows(("table", "grain", "rows"), rows, self.invocation.format)
            return
        table = self.snapshot.table(name).table
        columns = [(c.name, c.type, "" if c.required else "yes", c.comment) for c in table.columns]
        self.invocation.say(f"{name}: {table.grain}; key {self._key(name)}")
        emit_rows(("column", "type", "may be NULL", "meaning"), columns, self.invocation.format)

    def _key(self, name: str) -> str:
        return ", ".join(getattr(self.lake.tables[name].write, "key", ())) or "none"

    def _batch(self, number: str) -> None:
        if number and not number.isdecimal():
            raise UsageError(f".batch: {number!r} is no number of a batch.")
        self.snapshot = self.lake.at(batch=int(number) if number else None)

    def _as_of(self, at: str) -> None:
        if not at:
            raise UsageError(".as-of: give a time, as in: .as-of 2026-11-20 10:00")
        self.snapshot = self.lake.at(as_of=at.strip("'\""))

    def _format(self, form: str) -> None:
        if form not in FORMATS:
            raise UsageError(f".format: {form!r} is none of {', '.join(FORMATS)}.")
        self.invocation = replace(self.invocation, format=form)

    def _help(self, _: str) -> None:
        warn(HELP)

    def _leave(self, _: str) -> None:
        raise Leave
