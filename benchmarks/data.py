"""The benchmarks' sources: the project's own sample, less what only cleaning can put right.

Sample data holds mis-decoded text, and blanks around titles and names, as the real logs do. No peer repairs
either, so here every run of characters beyond ASCII is one `x`, values neither begin nor end with a blank,
in songs and logs alike, and all give the same plays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from runtime.sample import write_sample

BEYOND_ASCII = re.compile(rb"(?:[\x80-\xff]|\\u[0-9a-fA-F]{4})+")
LEADING, TRAILING = re.compile(rb'(": ?") +'), re.compile(rb' +(", ?"|"\})')


@dataclass(frozen=True)
class Sources:
    """Songs and logs of a number of days, and the log of the day after, which is not among them."""

    songs: Path
    logs: Path
    day: Path

    def deliver(self) -> Path:
        """Put the day after among the logs; gives its place there."""
        place = self.logs / self.day.name
        place.write_bytes(self.day.read_bytes())
        return place

    def withdraw(self) -> None:
        """Take it away again."""
        (self.logs / self.day.name).unlink(missing_ok=True)


def sources(folder: Path, events: int, songs: int = 5_000, days: int = 30) -> Sources:
    """Make them, unless they are there: `events` over `days` days, and one more day of the same size."""
    made = folder / f"{events}"
    found = Sources(made / "song_data", made / "log_data", made / "one_more_day.json")
    if not found.day.exists():
        a_day = events // days
        write_sample(made, events=events + a_day, songs=songs, days=days + 1, seed=8, dirty=False)
        for file in made.rglob("*.json"):
            file.write_bytes(_plain(file.read_bytes()))
        sorted(found.logs.rglob("*.json"))[-1].rename(found.day)
    found.withdraw()
    return found


def _plain(text: bytes) -> bytes:
    """What no peer would have to repair."""
    return TRAILING.sub(rb"\1", LEADING.sub(rb"\1", BEYOND_ASCII.sub(b"x", text)))
