"""Where a run's time goes, by table and step: `run --profile`.

Steps are marked where they are defined, `@step("merge")`; nothing is measured unless a profile is being
taken. Each moment counts once, for the innermost step, so the parts add up to the whole.
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

RUN = ""  # the table of steps that belong to none
START, REST = "start Python", "everything else"


@dataclass
class Part:
    """What one step took for one table: how often, seconds by the wall clock and of the processor, and
    what it read or wrote; None where nobody counts."""

    table: str
    step: str
    times: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    rows: int | None = None
    files: int | None = None
    bytes: int | None = None

    def took(self, time: Span) -> None:
        """Once more, and for so long."""
        self.times += 1
        self.seconds += time.seconds
        self.cpu += time.cpu

    def add(self, counts: Mapping[str, int]) -> None:
        """`rows`, `files` and `bytes`, as far as they are counted."""
        for name, number in counts.items():
            setattr(self, name, (getattr(self, name) or 0) + number)

    def as_json(self) -> dict[str, Any]:
        """All of it; the table is None where the step belongs to none."""
        rounded = {"seconds": round(self.seconds, 4), "cpu": round(self.cpu, 4)}
        return {**asdict(self), "table": self.table or None, **rounded}


@dataclass(frozen=True)
class Span:
    """An instant on both clocks, or the time between two."""

    seconds: float = 0.0
    cpu: float = 0.0

    @classmethod
    def now(cls) -> Span:
        """This instant."""
        return cls(time.monotonic(), cpu_seconds())

    def __add__(self, other: Span) -> Span:
        return Span(self.seconds + other.seconds, self.cpu + other.cpu)

    def __sub__(self, other: Span) -> Span:
        return Span(self.seconds - other.seconds, self.cpu - other.cpu)


class Profile:
    """The parts of a run, in the order they first came."""

    def __init__(self, *, since_start: bool = False) -> None:
        """`since_start`: of this process from its start on."""
        self.parts: dict[tuple[str, str], Part] = {}
        self._table = RUN
        before = Span(age_of_process(), cpu_seconds()) if since_start else Span()
        self._begun = Span.now() - before
        self._ended: Span | None = None
        self._inside = [before]  # what the steps inside took, for each step under way
        if since_start:
            self.part(START).took(before)

    def part(self, name: str) -> Part:
        """The part of a step for the table at work."""
        return self.parts.setdefault((self._table, name), Part(self._table, name))

    @contextmanager
    def measured(self, name: str) -> Iterator[Part]:
        """A step for as long as the block runs, less the steps inside."""
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
        """What is measured in the block is this table's."""
        outer, self._table = self._table, table
        try:
            yield
        finally:
            self._table = outer

    def end(self) -> None:
        """What comes later is not part of it."""
        self._ended = Span.now()

    def as_json(self) -> dict[str, Any]:
        """`seconds` and `cpu`, until now if it is still being taken, and the `parts` they are made of."""
        whole = (self._ended or Span.now()) - self._begun
        rest = Part(RUN, REST)
        rest.took(whole - self._inside[0])
        parts = [part.as_json() for part in (*self.parts.values(), rest)]
        return {"seconds": round(whole.seconds, 4), "cpu": round(whole.cpu, 4), "parts": parts}


_taken: ContextVar[Profile | None] = ContextVar("profile", default=None)


def current() -> Profile | None:
    """The profile that is being taken, if one is."""
    return _taken.get()


@contextmanager
def taken(wanted: bool = True, *, since_start: bool = False) -> Iterator[Profile | None]:
    """Take a profile while the block runs, if it is wanted and none is being taken already.

    Gives the one that is being taken, if any. `since_start`: of this process from its start on.
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
    """A table's work; what of it no step inside claims is the step `name`."""
    profile = current()
    if profile is None:
        yield
    else:
        with profile.at(table), profile.measured(name):
            yield


def step(
    name: str, counts: Callable[..., Mapping[str, int]] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Marks a function as a step. `counts` says of its result and arguments what it read or wrote."""

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
