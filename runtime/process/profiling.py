"""The time of a run by table and step: `run --profile`.

Functions are marked as steps by `@step("merge")` and measured only while a profile is recorded. Each
moment counts for the innermost step only, so the parts add up to the whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from runtime.process.cpu_time import age_of_process, cpu_seconds

P = ParamSpec("P")
R = TypeVar("R")

RUN = ""  # the table of steps without a table
START, REST = "start Python", "everything else"


@dataclass
class Part:
    """One step's calls for one table: seconds of wall clock and CPU; rows, files and bytes where counted."""

    table: str
    step: str
    times: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    rows: int | None = None
    files: int | None = None
    bytes: int | None = None

    def took(self, time: Span) -> None:
        self.times += 1
        self.seconds += time.seconds
        self.cpu += time.cpu

    def add(self, counts: Mapping[str, int]) -> None:
        for name, number in counts.items():
            setattr(self, name, (getattr(self, name) or 0) + number)

    def as_json(self) -> dict[str, Any]:
        """All fields; `table` is None for a step without a table."""
        rounded = {"seconds": round(self.seconds, 4), "cpu": round(self.cpu, 4)}
        return {**asdict(self), "table": self.table or None, **rounded}


@dataclass(frozen=True)
class Span:
    """An instant on the wall clock and the CPU clock, or the time between two instants, in seconds."""

    seconds: float = 0.0
    cpu: float = 0.0

    @classmethod
    def now(cls) -> Span:
        return cls(time.monotonic(), cpu_seconds())

    def __add__(self, other: Span) -> Span:
        return Span(self.seconds + other.seconds, self.cpu + other.cpu)

    def __sub__(self, other: Span) -> Span:
        return Span(self.seconds - other.seconds, self.cpu - other.cpu)


class Profile:
    """The parts of a run, in the order in which they first start."""

    def __init__(self, *, since_start: bool = False) -> None:
        """`since_start`: include the time since this process started."""
        self.parts: dict[tuple[str, str], Part] = {}
        self._table = RUN
        before = Span(age_of_process(), cpu_seconds()) if since_start else Span()
        self._begun = Span.now() - before
        self._ended: Span | None = None
        self._inside = [before]  # for each running step, the time of the steps inside it
        if since_start:
            self.part(START).took(before)

    def part(self, name: str) -> Part:
        """The part of a step for the current table."""
        return self.parts.setdefault((self._table, name), Part(self._table, name))

    @contextmanager
    def measured(self, name: str) -> Iterator[Part]:
        """Measure the block as one step, without the steps inside it."""
        part, begun = self.part(name), Span.now()
        self._inside.append(Span())
        try:
            yield part
        finally:
            whole = Span.now() - begun
            part.took(whole - self._inside.pop())
            self._inside[-1] += whole

    @contextmanager
    def at(self, table: str) -> Iterator[None]:
        """Make `table` the current table in the block."""
        outer, self._table = self._table, table
        try:
            yield
        finally:
            self._table = outer

    def end(self) -> None:
        self._ended = Span.now()

    def as_json(self) -> dict[str, Any]:
        """`seconds` and `cpu` up to the end, or up to now while recording, and their `parts`."""
        whole = (self._ended or Span.now()) - self._begun
        rest = Part(RUN, REST)
        rest.took(whole - self._inside[0])
        parts = [part.as_json() for part in (*self.parts.values(), rest)]
        return {"seconds": round(whole.seconds, 4), "cpu": round(whole.cpu, 4), "parts": parts}


_taken: ContextVar[Profile | None] = ContextVar("profile", default=None)


def current() -> Profile | None:
    return _taken.get()


@contextmanager
def taken(wanted: bool = True, *, since_start: bool = False) -> Iterator[Profile | None]:
    """Record a profile during the block, if `wanted` and if no other is recorded.

    Yields the current profile, or None. `since_start`: include the time since this process started.
    """
    if not wanted or current() is not None:
        yield current()
        return
    profile = Profile(since_start=since_start)
    token = _taken.set(profile)
    try:
        yield profile
    finally:
        profile.end()
        _taken.reset(token)


@contextmanager
def of(table: str, name: str) -> Iterator[None]:
    """Measure the block as the work of a table; time outside its inner steps counts as the step `name`."""
    profile = current()
    if profile is None:
        yield
    else:
        with profile.at(table), profile.measured(name):
            yield


def step(
    name: str, counts: Callable[..., Mapping[str, int]] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function as a step. `counts(result, *arguments)` returns its `rows`, `files` and `bytes`."""

    def marked(call: Callable[P, R]) -> Callable[P, R]:
        @wraps(call)
        def measured(*positional: P.args, **named: P.kwargs) -> R:
            profile = current()
            if profile is None:
                return call(*positional, **named)
            with profile.measured(name) as part:
                result = call(*positional, **named)
                if counts is not None:
                    part.add(counts(result, *positional, **named))
            return result

        return measured

    return marked
