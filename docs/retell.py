"""Tells a worked story anew: `python -m docs.retell` runs the commands of docs/time-travel.md and writes what
they print below them.

The commands run in a copy of the project, in order, in a shell. A test compares the page with the output.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

from tests.checkout import check_out

PAGE = Path(__file__).resolve().parent / "time-travel.md"
PART = re.compile(r"(?:<!-- ([^>]*) -->\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HOME = "~/lakehouse"  # where the story happens; no longer than any folder it is run in
WIDEST = 130  # columns of a line; what is cut away of a longer one is marked


class StoryFailed(Exception):
    """A command of the story ended otherwise than the page says; the message is what it printed."""


def main() -> int:
    """Write the page anew."""
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(retold(PAGE.read_text(encoding="utf-8"), Path(folder) / "told"), encoding="utf-8")
    return 0


def retold(page: str, folder: Path) -> str:
    """The page with what its commands print now, run in a new folder. Raises StoryFailed.

    A block after `<!-- file: NAME -->` is written to that file. `<!-- ends with N -->` stands before a
    block whose last command ends with that exit code.
    """
    check_out(folder)
    return PART.sub(lambda part: _told(part, folder), page)


def _told(part: re.Match[str], folder: Path) -> str:
    comment, language, text = part[1] or "", part[2], part[3]
    if comment.startswith("file: "):
        (folder / comment.removeprefix("file: ")).write_text(text, encoding="utf-8")
    if language != "console":
        return part[0]
    commands = re.findall(r"^\$ (.*)$", text, re.MULTILINE)
    codes = [0] * (len(commands) - 1) + [int(comment.removeprefix("ends with ") or 0)]
    lines = [line for told in map(_told_by, commands, codes, [folder] * len(codes)) for line in told]
    return part[0].replace(text, "".join(f"{line}\n" for line in lines))


def _told_by(command: str, code: int, folder: Path) -> Iterator[str]:
    """The command, then the lines it prints."""
    done = _run(command, folder)
    if done.returncode != code:
        raise StoryFailed(f"{command}\n{done.stdout}")
    yield f"$ {command}"
    gap = " " * (len(str(folder)) - len(HOME))
    for line in done.stdout.splitlines():
        for part in _fitted(line.replace(str(folder), HOME)):
            # Columns stay where they were.
            yield re.sub(rf"({re.escape(HOME)}\S*)  ", rf"\1{gap}  ", part)


def _run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LAKEHOUSE_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env={**environment, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def _fitted(line: str) -> list[str]:
    if line.startswith("error: "):
        return textwrap.wrap(line, WIDEST, break_long_words=False, break_on_hyphens=False)
    is_short = len(line) <= WIDEST or line.startswith("─")
    return [line if is_short else f"{line[: WIDEST - 1]}…"]


if __name__ == "__main__":
    sys.exit(main())
