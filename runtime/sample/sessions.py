"""Sessions of users, one day of events at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from operator import itemgetter
from random import Random
from typing import NamedTuple

from runtime.sample.people import User, make_user
from runtime.sample.plays import Play, PlayPicker
from runtime.sample.vocabulary import pick

DAY_MS = 86_400_000
MINUTE_MS = 60_000
NEXT_SONG = "NextSong"
PLAY_SHARE = 0.865
# A page is repeated by its weight.
PAGES = {
    "free": ("Home",) * 11 + ("Settings", "Help", "About", "Logout", "Upgrade", "Upgrade", "Error"),
    "paid": ("Home",) * 11 + ("Settings", "Help", "About", "Logout", "Downgrade", "Error"),
}
LOGGED_OUT_PAGES = ("Home", "Home", "Login", "Login", "About", "Help")
# Page → the page that may follow directly, and the share of times it does.
FOLLOWED_BY = {
    "Upgrade": ("Submit Upgrade", 0.4),
    "Downgrade": ("Submit Downgrade", 0.25),
    "Settings": ("Save Settings", 0.3),
}
LEVEL_AFTER = {"Submit Upgrade": "paid", "Submit Downgrade": "free"}
LONGEST_SESSION = {"free": 12, "paid": 60}
PAID_SHARE = 0.25
LOGGED_OUT_START_SHARE = 0.06
ECHO_SHARE = 0.04
NIGHT_OWL_ROWS = 12
TRIES = 20


class Event(NamedTuple):
    """One record of log_data; `user` is None when logged out, `play` outside NextSong."""

    user: User | None
    session_id: int
    item: int
    ts: int
    page: str
    level: str
    play: Play | None


in_order = itemgetter(Event._fields.index("ts"), Event._fields.index("session_id"))


@dataclass(slots=True)
class Listener:
    """A user with the current level, and the earliest start of the next session (epoch milliseconds)."""

    user: User
    level: str
    free_at: int = 0


class Timeline:
    """Generates sessions; each user has one session at a time."""

    def __init__(self, rng: Random, users: list[User], jukebox: PlayPicker, first_ts: int) -> None:
        self._rng = rng
        self._jukebox = jukebox
        self._first_ts = first_ts
        self._listeners = [self._listener(user) for user in users]
        self._sessions = 0
        self._events = 0
        self._carried: list[Event] = []
        self._echo = 0

    def day(self, start: int, until: int, last: bool) -> list[Event]:
        """The events of the day that begins at `start`, sorted by time.

        Adds sessions until there are `until` events in total. Events after midnight belong to the next day,
        except on the `last` day, where sessions end at midnight.
        """
        end = start + DAY_MS
        events = self._carried
        while self._events < until:
            added = self._session(start, end, until - self._events, last)
            self._events += len(added)
            events.extend(added)
        self._carried = [e for e in events if e.ts >= end]
        return sorted((e for e in events if e.ts < end), key=in_order)

    def _session(self, day_start: int, day_end: int, most: int, last: bool) -> list[Event]:
        rng = self._rng
        listener, start = self._who_and_when(day_start, day_end)
        rows = 1 + int(rng.random() * rng.random() * LONGEST_SESSION[listener.level])
        if self._sessions == 0 and not last:
            # One session always crosses midnight, also in a small sample.
            start, rows = day_end - 5 * MINUTE_MS, NIGHT_OWL_ROWS
        self._sessions += 1
        events = []
        for event in islice(self._events_of(listener, start), min(rows, most)):
            if last and event.ts >= day_end:
                break
            events.append(event)
            listener.level = LEVEL_AFTER.get(event.page, event.level)
        listener.free_at = events[-1].ts + MINUTE_MS
        self._echo = pick(rng, events).ts
        return events

    def _who_and_when(self, day_start: int, day_end: int) -> tuple[Listener, int]:
        """A free user and the start of a session, sometimes at the time of an existing event."""
        rng, listeners = self._rng, self._listeners
        for _ in range(TRIES):
            listener = listeners[int(rng.random() * rng.random() * len(listeners))]
            start = day_start + int(rng.random() * DAY_MS)
            if rng.random() < ECHO_SHARE and day_start <= self._echo < day_end:
                start = self._echo
            start = max(start, listener.free_at)
            if start < day_end:
                return listener, start
        # No user is free: add a new one.
        listeners.append(self._listener(make_user(rng, len(listeners) + 1, self._first_ts)))
        return listeners[-1], day_start + int(rng.random() * DAY_MS)

    def _listener(self, user: User) -> Listener:
        return Listener(user, "paid" if self._rng.random() < PAID_SHARE else "free")

    def _events_of(self, listener: Listener, ts: int) -> Iterator[Event]:
        """An endless stream of events of one session, each with the current level of the user."""
        session_id, page = self._sessions, ""
        logged_in = self._rng.random() >= LOGGED_OUT_START_SHARE
        for item in count():
            page = self._next_page(page, listener.level, logged_in)
            play = self._jukebox.next() if page == NEXT_SONG else None
            user = listener.user if logged_in else None
            yield Event(user, session_id, item, ts, page, listener.level, play)
            logged_in = page == "Login" or (logged_in and page != "Logout")
            ts += int(play.length * 1000) if play else 1 + int(self._rng.random() * MINUTE_MS)

    def _next_page(self, page: str, level: str, logged_in: bool) -> str:
        rng = self._rng
        if not logged_in:
            return pick(rng, LOGGED_OUT_PAGES)
        follower, share = FOLLOWED_BY.get(page, ("", 0.0))
        if follower and rng.random() < share:
            return follower
        return NEXT_SONG if rng.random() < PLAY_SHARE else pick(rng, PAGES[level])
