"""Records and source files with defaults: a test states only the values it varies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lakehouse import Lakehouse

EVENT = {
    "artist": None,
    "auth": "Logged In",
    "firstName": "Ada",
    "gender": "F",
    "itemInSession": 0,
    "lastName": "Byron",
    "length": None,
    "level": "free",
    "location": "London",
    "method": "GET",
    "page": "Home",
    "registration": 1540919166796.0,
    "sessionId": 1,
    "song": None,
    "status": 200,
    "ts": 1541106106796,
    "userAgent": '"Mozilla/5.0"',
    "userId": "7",
}
SONG = {
    "num_songs": 1,
    "artist_id": "ARTIST1",
    "artist_latitude": None,
    "artist_longitude": None,
    "artist_location": "",
    "artist_name": "The Engine",
    "song_id": "SONG1",
    "title": "Notes",
    "duration": 200.5,
    "year": 0,
}


def millis(text: str) -> int:
    """Epoch milliseconds of `2018-11-02 10:00:00`, UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def event(at: str = "2018-11-02 10:00:00", **fields: Any) -> dict[str, Any]:
    """A log record at a UTC time."""
    return {**EVENT, "ts": millis(at), **fields}


def play(at: str = "2018-11-02 10:00:00", **fields: Any) -> dict[str, Any]:
    """A log record of a play of the song `song()` makes."""
    return event(
        at,
        **{"page": "NextSong", "artist": "The Engine", "song": "Notes", "length": 200.5, **fields},
    )


def song(**fields: Any) -> dict[str, Any]:
    return {**SONG, **fields}


class Deliveries:
    """Two source folders, and methods that write files to them."""

    def __init__(self, root: Path) -> None:
        self.song_data, self.log_data = root / "song_data", root / "log_data"
        self.song_data.mkdir(parents=True)
        self.log_data.mkdir(parents=True)

    def lake(self, location: Path | str, engine: str = "sail", **settings: object) -> Lakehouse:
        """A lake of these sources: `sources.lake(folder / "lake", "spark", batch_bytes=1000)`."""
        return Lakehouse.open(
            lake=str(location),
            song_data=str(self.song_data),
            log_data=str(self.log_data),
            engine=engine,
            set=[f"{key}={value}" for key, value in settings.items()],
        )

    def logs(self, name: str, records: Iterable[Mapping[str, Any] | str]) -> Path:
        """Write a log file of JSON lines; strings are written unchanged."""
        return _write(self.log_data / name, records)

    def songs(self, name: str, records: Iterable[Mapping[str, Any] | str]) -> Path:
        """Write a song file of JSON lines; strings are written unchanged."""
        return _write(self.song_data / name, records)


def _write(path: Path, records: Iterable[Mapping[str, Any] | str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [r if isinstance(r, str) else json.dumps(r) for r in records]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
