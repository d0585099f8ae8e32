"""Write the files of a sample in delivery order, and compute its truth."""

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

from runtime.sample.catalogue import Ids, Song, make_catalogue, song_json
from runtime.sample.dirt import dirty_lines
from runtime.sample.dirt_context import DirtContext, Line
from runtime.sample.lines import Lines
from runtime.sample.people import make_users
from runtime.sample.plays import Play, PlayPicker
from runtime.sample.sessions import DAY_MS, Event, Timeline
from runtime.sample.song_dirt import dirty_songs, late_songs
from runtime.sample.truth import Truth

FIRST_DAY = date(2018, 11, 1)
FIRST_TS = 1_541_030_400_000
MOST_UNCATALOGUED = 20_000
MOST_PLAYS_REMEMBERED = 1_000

Progress = Callable[[int, int], None]


class Arguments(NamedTuple):
    events: int
    songs: int
    days: int
    seed: int
    dirty: bool


def deliver(out: Path, arguments: Arguments, progress: Progress | None) -> dict[str, object]:
    """Write the folders of a sample below `out`; returns its truth without the arguments."""
    sample = Sample(out, arguments)
    sample.write_catalogue()
    for number in range(arguments.days):
        sample.write_day(number)
        if progress:
            progress(sample.events_until(number), arguments.events)
    return sample.finish()


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Bytes, because text mode changes line ends on some systems.
    path.write_bytes(text.encode("ascii"))


class Sample:
    """Writes one sample, part by part."""

    def __init__(self, out: Path, arguments: Arguments) -> None:
        self._out, self._arguments = out, arguments
        # Each part has its own random stream, so that dirt changes no clean record.
        self._songs_rng, self._dirt_rng = self._stream("songs"), self._stream("dirt")
        self._ids = Ids()
        self._songs = make_catalogue(self._songs_rng, self._ids, arguments.songs)
        pool = min(arguments.events, MOST_UNCATALOGUED)
        self._jukebox = PlayPicker(self._stream("plays"), self._songs, pool)
        users = make_users(self._stream("people"), arguments.events, FIRST_TS)
        self._life = Timeline(self._stream("life"), users, self._jukebox, FIRST_TS)
        self._lines = Lines()
        dirty_jukebox = PlayPicker(self._dirt_rng, self._songs, 1)
        self._soil = DirtContext(self._dirt_rng, self._lines, users, dirty_jukebox, FIRST_TS)
        self._dirt: Counter[str] = Counter()
        self._heard: dict[Play, None] = {}
        self._truth = Truth()

    def events_until(self, number: int) -> int:
        """Number of clean events in sessions that begin up to day `number`."""
        return self._arguments.events * (number + 1) // self._arguments.days

    def write_catalogue(self) -> None:
        songs = self._songs
        if self._arguments.dirty:
            songs = songs + dirty_songs(self._dirt_rng, self._ids, songs, self._dirt)
        self._write_songs(songs, self._out)

    def write_day(self, number: int) -> None:
        start = FIRST_TS + number * DAY_MS
        last = number + 1 == self._arguments.days
        lines = self._day_lines(start, self._life.day(start, self.events_until(number), last))
        for line in lines:
            if line.event:
                self._truth.deliver_event(line.event)
            elif line.reason:
                self._truth.reject(line.reason)
        self._truth.close_file()
        text = "\n".join(line.text for line in lines)
        write_text(self._out / log_path(FIRST_DAY + timedelta(days=number)), text)

    def finish(self) -> dict[str, object]:
        """Write the files after the logs; returns the truth."""
        if not self._arguments.dirty:
            return self._truth.close_batch()
        self._write_empty_log()
        truth = self._truth.close_batch()
        heard = list(self._heard)
        songs = late_songs(self._dirt_rng, self._ids, self._jukebox, heard, self._dirt)
        self._write_songs(songs, self._out / "late")
        return {
            **truth,
            "dirt": dict(sorted(self._dirt.items())),
            "after_late": self._truth.close_batch(),
        }

    def _stream(self, part: str) -> Random:
        return Random(f"{self._arguments.seed}/{part}")

    def _write_songs(self, songs: list[Song], folder: Path) -> None:
        """Write songs and deliver them to the truth in the order of their paths."""
        rng = self._songs_rng
        for path, song in sorted((self._ids.track_path(rng), song) for song in songs):
            write_text(folder / path, song_json(song))
            self._truth.deliver_song(song)

    def _day_lines(self, start: int, events: list[Event]) -> list[Line]:
        if not self._arguments.dirty:
            return [Line(self._lines.line(event), event) for event in events]
        if len(self._heard) < MOST_PLAYS_REMEMBERED:
            self._heard.update(dict.fromkeys(event.play for event in events if event.play))
        return dirty_lines(self._soil, start, events, self._dirt)

    def _write_empty_log(self) -> None:
        last = FIRST_DAY + timedelta(days=self._arguments.days - 1)
        write_text(self._out / log_path(last, "empty"), "")
        self._dirt["empty_file"] += 1


def log_path(day: date, what: str = "events") -> str:
    return f"log_data/{day:%Y}/{day:%m}/{day}-{what}.json"
