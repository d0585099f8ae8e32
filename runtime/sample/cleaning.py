"""The cleaning rules of the model, independent of the pipeline's."""

import re
from typing import NamedTuple

from runtime.sample.catalogue import Song
from runtime.sample.people import User
from runtime.sample.plays import Play
from runtime.sample.sessions import Event

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")
MatchKey = tuple[str | None, str | None, float]


class CleanSong(NamedTuple):
    """The cleaned fields of a song."""

    song_id: str
    title: str | None
    artist_id: str
    artist_name: str | None
    artist_location: str | None
    artist_latitude: float | None
    artist_longitude: float | None
    year: int | None
    duration: float
    num_songs: int


def repaired(text: str) -> str:
    """`text` with mis-decoded UTF-8 repaired, repeatedly if it was mis-decoded repeatedly."""
    while not text.isascii():
        try:
            better = text.encode("latin-1").decode("utf-8")
        except UnicodeError:
            break
        text = better
    return text


def clean_text(text: str) -> str | None:
    # Repair first: damaged text contains control characters.
    return CONTROL_CHARACTER.sub("", repaired(text)).strip() or None


class Cleaner:
    """Cleans records, with a cache of cleaned texts."""

    def __init__(self) -> None:
        self._seen: dict[str, str | None] = {}

    def text(self, text: str) -> str | None:
        if text not in self._seen:
            self._seen[text] = clean_text(text)
        return self._seen[text]

    def match(self, play: Play) -> MatchKey:
        """The key that matches a play to a song: (title, artist name, duration)."""
        return self.text(play.title), self.text(play.artist), play.length

    def song(self, song: Song) -> CleanSong:
        return CleanSong(
            song_id=song.song_id,
            title=self.text(song.title),
            artist_id=song.artist_id,
            artist_name=self.text(song.artist_name),
            artist_location=self.text(song.artist_location),
            artist_latitude=song.artist_latitude,
            artist_longitude=song.artist_longitude,
            year=song.year or None,
            duration=song.duration,
            num_songs=song.num_songs,
        )

    def event(self, event: Event) -> tuple[object, ...]:
        """The fields of an event outside its key."""
        play = event.play and self.match(event.play)
        return event.page, event.level, play, event.user and self._person(event.user)

    def _person(self, user: User) -> tuple[object, ...]:
        names = self.text(user.first_name), self.text(user.last_name), self.text(user.location)
        agent = self.text(user.agent.strip('"'))
        return int(user.user_id), *names, user.gender, user.registration, agent
