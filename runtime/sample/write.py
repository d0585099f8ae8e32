"""The function behind `sample`: check the arguments, clear the folder, write files and truth."""

import json
import shutil
from pathlib import Path

from runtime.errors import UsageError
from runtime.sample.delivery import Arguments, Progress, deliver, write_text

TRUTH = "truth.json"


def write_sample(
    out: Path,
    *,
    events: int = 8_000,
    songs: int = 500,
    days: int = 30,
    seed: int = 1,
    dirty: bool = False,
    progress: Progress | None = None,
) -> dict[str, object]:
    """Write `song_data/`, `log_data/` and `truth.json` into `out`; returns the truth.

    `events` clean events in `songs` song files and one log file for each of `days` days from
    2018-11-01 on. `dirty` adds faulty records, and `late/song_data/`, songs to be delivered after
    everything else. The same arguments give the same bytes. `progress` is called with (events written,
    events) after each day.

    The truth describes one run over `song_data` and `log_data`; its `after_late` describes the
    lake after a second run with the late songs: `records` are those of the second run, all else
    is the state after both. `songplays_digest` is the SHA-256 of the sorted lines
    `session_id|item_in_session|ts|user_id|level|song_id|artist_id` (ts in epoch milliseconds, no
    song: two empty ids), joined by newlines. `users` (user_id → level) is left out above 2,000.

    Raises UsageError if a number is below 1, or if `out` is not empty and not an earlier sample.
    """
    refuse_numbers_below_one(events=events, songs=songs, days=days)
    clear(out)
    arguments = Arguments(events, songs, days, seed, dirty)
    truth = {"arguments": arguments._asdict(), **deliver(out, arguments, progress)}
    write_text(out / TRUTH, json.dumps(truth, indent=2) + "\n")
    return truth


def refuse_numbers_below_one(**numbers: int) -> None:
    wrong = [f"--{name} {number}" for name, number in numbers.items() if number < 1]
    if wrong:
        raise UsageError(f"sample: {', '.join(wrong)}: must be 1 or more.")


def clear(out: Path) -> None:
    """Empty `out` and mark it as a sample from the start. Raises UsageError for other folders."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"sample: {out} is a file; name a folder with --out.")
    if out.is_dir() and any(out.iterdir()) and not (out / TRUTH).is_file():
        raise UsageError(
            f"sample: {out} is not empty and holds no {TRUTH}, so it was not made by this "
            "command; name another folder with --out, or empty this one."
        )
    # An interrupted sample is still a sample: the next one may replace it.
    write_text(out / TRUTH, '{"complete": false}\n')
    for folder in ("song_data", "log_data", "late"):
        if (out / folder).exists():
            shutil.rmtree(out / folder)
