"""The expected contents of the lake after the records delivered so far.

A model of plain dictionaries over the generated records, not over their text. It is the oracle of the
tests, so it imports nothing from the pipeline and implements the rules a second time.
"""

import hashlib
from collections import Counter
from typing import NamedTuple, TypeVar

from runtime.sample.catalogue import Song
from runtime.sample.cleaning import Cleaner, CleanSong, MatchKey
from runtime.sample.sessions import Event

T = TypeVar("T")
EventKey = tuple[int, int, int]
MOST_USERS_LISTED = 2_000


class LastSeen(NamedTuple):
    """The latest event of a user, ordered by (ts, session_id, item), with its level."""

    ts: int
    session_id: int
    item: int
    level: str


class Truth:
    """Takes records in delivery order and computes the expected tables.

    Events are final when the next file is complete: a record is repeated or corrected in its own file or the
    next one, so only the events of two files are in memory.
    """

    def __init__(self) -> None:
        self._clean = Cleaner()
        self._records: Counter[str] = Counter()
        self._quarantine: Counter[str] = Counter()
        self._songs: dict[str, CleanSong] = {}
        self._delivered_songs: dict[str, list[CleanSong]] = {}
        self._settling: dict[EventKey, list[Event]] = {}
        self._open: dict[EventKey, list[Event]] = {}
        self._events = 0
        self._users: dict[int, LastSeen] = {}
        self._instants: set[int] = set()
        # A play: its line of the digest without the song, and its match key.
        self._plays: list[str] = []
        self._play_matches: list[MatchKey] = []
        self._matches: dict[MatchKey, MatchKey] = {}

    def deliver_song(self, song: Song) -> None:
        cleaned = self._clean.song(song)
        if cleaned.title is None:
            self.reject("title_is_present")
        else:
            self._delivered_songs.setdefault(song.song_id, []).append(cleaned)

    def deliver_event(self, event: Event) -> None:
        key = (event.session_id, event.item, event.ts)
        if key in self._settling:
            self._settling[key].append(event)
        else:
            self._open.setdefault(key, []).append(event)

    def reject(self, reason: str) -> None:
        """Count a record that breaks exactly one rule."""
        self._records["quarantined"] += 1
        self._quarantine[reason] += 1

    def close_file(self) -> None:
        """End a log file: the events of the file before it are final."""
        for events in self._settling.values():
            self._settle(events)
        self._settling, self._open = self._open, {}

    def close_batch(self) -> dict[str, object]:
        """End a batch: returns its record counts and the expected state after it."""
        self.close_file()
        self.close_file()
        for song_id, songs in self._delivered_songs.items():
            self._count(songs, self._songs.get(song_id))
            self._songs[song_id] = songs[-1]
        self._delivered_songs = {}
        state = self._state()
        self._records = Counter()
        return state

    def _settle(self, events: list[Event]) -> None:
        if len(events) == 1:
            self._records["accepted"] += 1
        else:
            self._count([self._clean.event(e) for e in events], None)
        event = events[-1]
        self._events += 1
        if event.user is None:
            return
        seen = LastSeen(event.ts, event.session_id, event.item, event.level)
        user_id = int(event.user.user_id)
        self._users[user_id] = max(self._users.get(user_id, seen), seen)
        if event.play:
            self._add_play(event, user_id, self._clean.match(event.play))

    def _add_play(self, event: Event, user_id: int, match: MatchKey) -> None:
        key = f"{event.session_id}|{event.item}|{event.ts}"
        self._plays.append(f"{key}|{user_id}|{event.level}")
        self._play_matches.append(self._matches.setdefault(match, match))
        self._instants.add(event.ts)

    def _count(self, contents: list[T], before: T | None) -> None:
        """Count the records of one key: the last one makes the row."""
        same = contents.count(contents[-1])
        accepted = 0 if contents[-1] == before else 1
        self._records["accepted"] += accepted
        self._records["duplicate"] += same - accepted
        self._records["superseded"] += len(contents) - same

    def _state(self) -> dict[str, object]:
        linked, digest = self._songplays()
        artists = chosen_artists(self._songs)
        levels = Counter(seen.level for seen in self._users.values())
        state: dict[str, object] = {
            "records": self._counts(),
            "quarantine": dict(sorted(self._quarantine.items())),
            "tables": {
                "gold.songplays": len(self._plays),
                "gold.users": len(self._users),
                "gold.songs": len(self._songs),
                "gold.artists": len(artists),
                "gold.time": len(self._instants),
                "silver.events": self._events,
                "silver.songs": len(self._songs),
            },
            "users_by_level": {"free": levels["free"], "paid": levels["paid"]},
            "plays_with_song": linked,
            "songplays_digest": digest,
            "artists": artists,
        }
        if len(self._users) <= MOST_USERS_LISTED:
            state["users"] = {str(u): self._users[u].level for u in sorted(self._users)}
        return state

    def _counts(self) -> dict[str, int]:
        parts = ("accepted", "duplicate", "superseded", "quarantined")
        counts = {part: self._records[part] for part in parts}
        return {"delivered": sum(counts.values()), **counts}

    def _songplays(self) -> tuple[int, str]:
        """The number of plays with a song, and the digest of the sorted lines of all plays."""
        songs: dict[MatchKey, CleanSong] = {}
        # Descending, so that the smallest song_id of a match key remains.
        for _, song in sorted(self._songs.items(), reverse=True):
            songs[(song.title, song.artist_name, song.duration)] = song
        linked, lines = 0, []
        for play, match in zip(self._plays, self._play_matches, strict=True):
            matched = songs.get(match)
            linked += matched is not None
            lines.append(f"{play}|{matched.song_id}|{matched.artist_id}" if matched else f"{play}||")
        lines.sort()
        return linked, hashlib.sha256("\n".join(lines).encode()).hexdigest()


def chosen_artists(songs: dict[str, CleanSong]) -> dict[str, str | None]:
    """artist_id → name: the most complete row, then the latest year, then the smallest song_id."""
    best: dict[str, tuple[tuple[int, int], CleanSong]] = {}
    for _, song in sorted(songs.items()):
        city = (song.artist_location, song.artist_latitude, song.artist_longitude)
        rank = (sum(part is not None for part in city), song.year or 0)
        if song.artist_id not in best or rank > best[song.artist_id][0]:
            best[song.artist_id] = (rank, song)
    return {artist_id: best[artist_id][1].artist_name for artist_id in sorted(best)}
