"""The song catalogue, in the layout and with the irregularities of the Million Song Dataset."""

import json
from random import Random
from typing import NamedTuple

from runtime.sample import vocabulary
from runtime.sample.vocabulary import pick

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
HEX = "0123456789ABCDEF"
TWIN_EVERY = 50


class Song(NamedTuple):
    """One record of song_data, its fields in the order of the file."""

    num_songs: int
    artist_id: str
    artist_latitude: float | None
    artist_longitude: float | None
    artist_location: str
    artist_name: str
    song_id: str
    title: str
    duration: float
    year: int


class City(NamedTuple):
    """The location of an artist."""

    location: str
    latitude: float | None
    longitude: float | None


class Artist(NamedTuple):
    """One artist_id, and the spellings of its name and city."""

    artist_id: str
    names: list[str]
    cities: list[City]


class Ids:
    """Generates unique ids of 18 characters."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def new(self, rng: Random, kind: str, middle: str) -> str:
        """`kind` (SO, AR, TR), five letters, `middle`, then hexadecimal digits to 18 characters."""
        while True:
            letters = "".join(pick(rng, LETTERS) for _ in range(5))
            digits = "".join(pick(rng, HEX) for _ in range(11 - len(middle)))
            made = f"{kind}{letters}{middle}{digits}"
            if made not in self._used:
                self._used.add(made)
                return made

    def song(self, rng: Random) -> str:
        return self.new(rng, "SO", "12A")

    def artist(self, rng: Random) -> str:
        return self.new(rng, "AR", "1187")

    def track_path(self, rng: Random) -> str:
        """`song_data/A/B/K/TRABK….json`, with several files per folder."""
        track = self.new(rng, "TR", "128F")
        track = f"TRA{pick(rng, 'AB')}{track[4:]}"
        if track in self._used:
            return self.track_path(rng)
        self._used.add(track)
        return f"song_data/{track[2]}/{track[3]}/{track[4]}/{track}.json"


def song_json(song: Song) -> str:
    """The content of the file of a song."""
    return json.dumps(song._asdict())


def make_artist(rng: Random, ids: Ids) -> Artist:
    """An artist with one to three spellings of its name and city."""
    name, city = vocabulary.artist(rng), vocabulary.town(rng)
    latitude = (int(rng.random() * 12_000_000) - 6_000_000) / 100_000
    longitude = (int(rng.random() * 34_000_000) - 17_000_000) / 100_000
    names = [name, f"{name} Featuring {vocabulary.word(rng)}", f"{name} Ensemble"]
    unknown, complete = City("", None, None), City(city, latitude, longitude)
    town_only = City(city.split(",")[0], None, None)
    cities = [unknown, complete, town_only, City("", latitude, longitude)]
    first = int(rng.random() * len(cities))
    last = first + 1 + int(rng.random() * 3)
    return Artist(ids.artist(rng), names[: last - first], (cities + cities)[first:last])


def make_song(rng: Random, ids: Ids, artist: Artist) -> Song:
    """A song by `artist`, with one of its spellings."""
    name = artist.names[0] if rng.random() < 0.7 else pick(rng, artist.names)
    city = pick(rng, artist.cities)
    return Song(
        num_songs=1,
        artist_id=artist.artist_id,
        artist_latitude=city.latitude,
        artist_longitude=city.longitude,
        artist_location=city.location,
        artist_name=name,
        song_id=ids.song(rng),
        title=vocabulary.title(rng),
        duration=vocabulary.seconds(rng),
        year=0 if rng.random() < 0.6 else 1960 + int(rng.random() * 50),
    )


def make_catalogue(rng: Random, ids: Ids, count: int) -> list[Song]:
    """`count` songs by about half as many artists; one in fifty repeats another with a new song_id."""
    artists = [make_artist(rng, ids) for _ in range(count // 2 + 1)]
    songs = [make_song(rng, ids, pick(rng, artists)) for _ in range(count - count // TWIN_EVERY)]
    # Each original is copied once, so that at most two songs share a match key.
    for original in songs[: count // TWIN_EVERY]:
        other = pick(rng, artists)
        artist_id = original.artist_id if rng.random() < 0.5 else other.artist_id
        songs.append(original._replace(song_id=ids.song(rng), artist_id=artist_id))
    return songs
