"""Played songs: from the catalogue, near misses, and songs outside the catalogue."""

import json
from random import Random
from typing import NamedTuple

from runtime.sample import vocabulary
from runtime.sample.catalogue import Song
from runtime.sample.vocabulary import pick

# Both occur in titles of the real data.
CONTROL_CHARACTERS = ("\x18", "\x19")


class Play(NamedTuple):
    """A song as in a log record; the `_json` fields are encoded for a line."""

    artist: str
    title: str
    length: float
    artist_json: str
    title_json: str


def log_json(text: str) -> str:
    r"""`text` encoded as in the logs: `/` as `\/`, characters outside ASCII as `\uXXXX`."""
    return json.dumps(text).replace("/", "\\/")


def make_play(artist: str, title: str, length: float) -> Play:
    return Play(artist, title, length, log_json(artist), log_json(title))


def misdecode(text: str) -> str:
    """Decode UTF-8 as Latin-1, twice: the damage of the real data."""
    for _ in range(2):
        text = text.encode("utf-8").decode("latin-1")
    return text


def damaged(plays: list[Play]) -> list[Play]:
    """Damaged copies of the plays with characters outside ASCII."""
    foreign = [p for p in plays if not (p.artist + p.title).isascii()]
    return [make_play(misdecode(p.artist), misdecode(p.title), p.length) for p in foreign]


class PlayPicker:
    """Chooses plays: about 30 % match a catalogue song, 5 % miss one by the length alone."""

    def __init__(self, rng: Random, songs: list[Song], pool: int) -> None:
        """`pool`: number of played songs outside the catalogue."""
        self.song_of = {make_play(s.artist_name, s.title, s.duration): s for s in songs}
        self._rng = rng
        self._known = list(self.song_of)
        self._near = [p._replace(length=round(p.length + 0.5, 5)) for p in self._known]
        self._unknown = self._make_unknown(pool)
        self._uncatalogued = set(self._unknown)
        self._damaged_unknown = damaged(self._unknown)
        self._damaged_known = damaged(self._known) or self._damaged_unknown
        self._spoiled = [self._spoil(p) for p in self._known]

    def is_uncatalogued(self, play: Play) -> bool:
        return play in self._uncatalogued

    def known(self) -> Play:
        """A play of a catalogue song; earlier songs are more popular."""
        return self._popular(self._known)

    def next(self) -> Play:
        """A random play, in the shares of the class docstring, some damaged."""
        draw = self._rng.random()
        if draw < 0.290:
            return self.known()
        if draw < 0.295:
            return self._popular(self._damaged_known)
        if draw < 0.300:
            return self._popular(self._damaged_unknown)
        if draw < 0.305:
            return self._popular(self._spoiled)
        return self._popular(self._near if draw < 0.35 else self._unknown)

    def _popular(self, plays: list[Play]) -> Play:
        draw = self._rng.random()
        return plays[int(draw * draw * len(plays))]

    def _make_unknown(self, pool: int) -> list[Play]:
        rng = self._rng
        # The first is outside ASCII, so that there is always one to damage.
        plays = [make_play(vocabulary.FOREIGN[0], vocabulary.title(rng), vocabulary.seconds(rng))]
        while len(plays) < pool:
            names = vocabulary.artist(rng), vocabulary.title(rng)
            plays.append(make_play(*names, vocabulary.seconds(rng)))
        return plays

    def _spoil(self, play: Play) -> Play:
        control = pick(self._rng, CONTROL_CHARACTERS)
        middle = len(play.title) // 2
        title = f" {play.title[:middle]}{control}{play.title[middle:]}"
        return make_play(f"{play.artist} ", title, play.length)
