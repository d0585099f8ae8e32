"""Makes docs/report.png anew: `python -m docs.picture` shows the report of our own sample data in a browser.

The sample is the dirty one, taken in a week at a time, so that each part of the page has something to show.
Needs Chromium: apt-get install chromium.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from docs.retell import HOME, Story
from runtime.sample import write_sample
from tests.support.checkout import check_out

PICTURE = Path(__file__).resolve().parent / "report.png"
SIZE = "1120,1720"  # CSS pixels: the page's full width, down to what it says of quality
WEEK = 7  # logs


def main() -> int:
    """Write the picture; gives 2 where there is no browser."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.stderr.write("docs.picture needs a browser: apt-get install chromium\n")
        return 2
    with tempfile.TemporaryDirectory() as root:
        folder = check_out(Path(root) / "project")
        page = reported(folder)
        options = ("--headless=new", "--no-sandbox", "--hide-scrollbars", f"--window-size={SIZE}")
        subprocess.run(
            [chromium, *options, f"--screenshot={PICTURE}", page.as_uri()], check=True, capture_output=True
        )
    return 0


def reported(folder: Path) -> Path:
    """The page about a lake of the sample, made in this folder."""
    story = Story(folder, folder)
    write_sample(folder / "sample", events=10_000, songs=500, days=30, dirty=True)
    logs = sorted((folder / "sample" / "log_data").rglob("*.json*"))
    for log in logs:
        log.rename(kept_back(log))
    for first in range(0, len(logs), WEEK):
        for log in logs[first : first + WEEK]:
            kept_back(log).rename(log)
        story.run("python lakehouse.py run -q --song-data sample/song_data --log-data sample/log_data")
    story.run("python lakehouse.py report --out report.html")
    page = folder / "report.html"
    page.write_text(page.read_text("utf-8").replace(str(folder), HOME), encoding="utf-8")
    return page


def kept_back(log: Path) -> Path:
    """Where a log is that has not been delivered yet: names that begin with `_` are not read."""
    return log.with_name(f"_{log.name}")


if __name__ == "__main__":
    sys.exit(main())
