"""The context for generated dirt: the events of today and yesterday, and lines to insert."""

from collections.abc import Callable
from itertools import chain
from random import Random
from typing import NamedTuple

from runtime.sample.lines import Lines
from runtime.sample.people import User
from runtime.sample.plays import PlayPicker
from runtime.sample.sessions import DAY_MS, NEXT_SONG, Event
from runtime.sample.vocabulary import pick

# Far above the session ids of clean events, which are the same with and without dirt.
FIRST_SESSION = 900_000_000
LEVELS = ("free", "paid")


class Line(NamedTuple):
    """A line of a log file: `event` if it is a valid record, else the `reason` of its rejection.

    A blank line has neither: it is not a record.
    """

    text: str
    event: Event | None = None
    reason: str | None = None


class Extra(NamedTuple):
    """A line to insert anywhere after event number `after` of the day."""

    after: int
    line: Line


class DirtContext:
    """The events that dirt refers to, and the random source."""

    def __init__(
        self, rng: Random, lines: Lines, users: list[User], jukebox: PlayPicker, first_ts: int
    ) -> None:
        self.rng = rng
        self.lines = lines
        self.users = users
        self.jukebox = jukebox
        self.first_ts = first_ts
        self.start = first_ts
        self.today: list[Event] = []
        self._yesterday: list[Event] = []
        self._session = FIRST_SESSION

    def begin_day(self, start: int, events: list[Event]) -> None:
        self.start, self._yesterday, self.today = start, self.today, events

    def find(self, events: list[Event], fits: Callable[[Event], bool]) -> int | None:
        """The index of a random event that fits, None if none does."""
        first = int(self.rng.random() * len(events))
        # Search from a random start and wrap around, so that a single match is found too.
        numbers = chain(range(first, len(events)), range(first))
        return next((number for number in numbers if fits(events[number])), None)

    def today_again(self, change: Callable[[Event], Event], fits: Callable[[Event], bool]) -> Extra | None:
        """A changed copy of an event of today, later in the same file."""
        number = self.find(self.today, fits)
        return None if number is None else self.valid(change(self.today[number]), number)

    def yesterday_again(
        self, change: Callable[[Event], Event], fits: Callable[[Event], bool]
    ) -> Extra | None:
        """A changed copy of an event of yesterday, in the file of today."""
        number = self.find(self._yesterday, fits)
        return None if number is None else self.valid(change(self._yesterday[number]))

    def valid(self, event: Event, after: int = 0) -> Extra:
        return Extra(after, Line(self.lines.line(event), event))

    def new_event(self, ts: int, page: str = NEXT_SONG) -> Event:
        """An event in a new session."""
        self._session += 1
        play = self.jukebox.known() if page == NEXT_SONG else None
        user, level = pick(self.rng, self.users), pick(self.rng, LEVELS)
        return Event(user, self._session, 0, ts, page, level, play)

    def time_today(self) -> int:
        return self.start + int(self.rng.random() * DAY_MS)

    def time_before_today(self) -> int:
        return self.first_ts + int(self.rng.random() * (self.start - self.first_ts))
