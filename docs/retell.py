"""Tells the pages anew: `python -m docs.retell [PAGE...]` runs the commands of the pages and writes what they
print now below those that print something else than the page shows.

A page says where with `<!-- runs in: SCENE -->`. Its blocks are run in order, in a copy of the project, in a
shell; tests/support/pages.py says which. In what is shown, a line of `…` stands for lines left out; times and
sizes do not count. A test compares every page with what it would be told anew.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.sample import write_sample
from tests.support.checkout import ROOT, check_out, demonstrated, lines_without_times
from tests.support.pages import BLOCK, PAGES, SCENE, Block, block_of, blocks, edit, said_by_hand

HOME = "~/lakehouse"  # where the pages are told; no longer than any folder they are run in
WIDEST = 130  # columns of a line; what is cut away of a longer one is marked
LEFT_OUT = "…"


class StoryFailed(Exception):
    """A command of a page ended otherwise than the page says; the message is what it printed."""


def main(names: Sequence[str]) -> int:
    """Write the named pages anew, or all; a name is a path."""
    with tempfile.TemporaryDirectory() as root:
        for number, page in enumerate([Path(name) for name in names] or PAGES):
            text = page.read_text(encoding="utf-8")
            if SCENE.search(text):
                told = retold(text, Path(root) / f"page-{number}", Path(root))
                page.write_text(told, encoding="utf-8")
    return 0


def retold(page: str, folder: Path, root: Path) -> str:
    """The page with what its commands print now, run in a new folder. Raises StoryFailed.

    `root` keeps what several pages begin with.
    """
    scene = SCENE.search(page)
    assert scene is not None
    story = Story(folder, SCENES[scene[1]](folder, root))
    told = BLOCK.sub(story.told, page)
    if any(block.is_doctest for block in blocks(page)):
        (folder / "page.md").write_text(page, encoding="utf-8")
        story.run("python -m doctest -o ELLIPSIS page.md")
    return told


@dataclass(frozen=True)
class Story:
    """A page being told in a folder. `origin` is where its data was made; both are shown as HOME."""

    folder: Path
    origin: Path

    def told(self, found: re.Match[str]) -> str:
        """A block, as it should be shown."""
        block = block_of(found)
        if said_by_hand(found):
            return found[0]
        if block.kind in ("file", "lines of"):
            edit(self.folder, block)
        elif block.kind == "part of" and block.text not in (ROOT / block.name).read_text(encoding="utf-8"):
            raise StoryFailed(f"{block.name} does not hold:\n{block.text}")
        elif block.is_program:
            (self.folder / "block.py").write_text(block.text, encoding="utf-8")
            self.run("python block.py")
        elif block.is_told:
            return found[0].replace(block.text, "".join(f"{line}\n" for line in self._answered(block)))
        return found[0]

    def run(self, command: str, code: int = 0) -> list[str]:
        """What a command prints, by lines. Raises StoryFailed if it ends otherwise."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LAKEHOUSE_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=self.folder,
            env={**environment, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != code:
            raise StoryFailed(f"{command}\n{done.stdout}")
        return [part for line in done.stdout.splitlines() for part in self._fitted(line)]

    def _answered(self, block: Block) -> Iterator[str]:
        """The commands, each followed by what it prints."""
        asked = [part.splitlines() for part in re.split(r"^(?=\$ )", block.text, flags=re.MULTILINE) if part]
        last = int(block.comment.removeprefix("ends with ") or 0)
        codes = [0] * (len(asked) - 1) + [last]
        for (command, *shown), code in zip(asked, codes, strict=True):
            printed = self.run(command.removeprefix("$ "), code)
            yield command
            yield from shown if shows(shown, printed) else printed

    def _fitted(self, line: str) -> list[str]:
        """The line with HOME in the place of the folder, not too wide, columns where they were."""
        for folder in (str(self.folder), str(self.origin)):
            gap = " " * (len(folder) - len(HOME))
            line = re.sub(rf"{re.escape(folder)}(\S*  )", rf"{HOME}\1{gap}", line).replace(folder, HOME)
        if line.startswith(("error: ", "DAMAGED ")):
            return textwrap.wrap(line, WIDEST, break_long_words=False, break_on_hyphens=False)
        is_short = len(line) <= WIDEST or line.startswith("─")
        return [line if is_short else f"{line[: WIDEST - 1]}{LEFT_OUT}"]


def shows(shown: Sequence[str], printed: Sequence[str]) -> bool:
    """Whether a page shows what was printed: all of it, but for what `…` leaves out, and times."""
    first, *others = _parts(masked(shown))
    rest = masked(printed)
    if not others:
        return rest == first
    if rest[: len(first)] != first:
        return False
    rest = rest[len(first) :]
    *between, last = others
    for part in between:
        at = next((i for i in range(len(rest)) if rest[i : i + len(part)] == part), None)
        if at is None:
            return False
        rest = rest[at + len(part) :]
    return len(last) <= len(rest) and rest[len(rest) - len(last) :] == last


def _parts(lines: Sequence[str]) -> list[list[str]]:
    """The lines between those that stand for others."""
    parts: list[list[str]] = [[]]
    for line in lines:
        if line == LEFT_OUT:
            parts.append([])
        else:
            parts[-1].append(line)
    return parts


def masked(lines: Sequence[str]) -> list[str]:
    """Lines without times and sizes, and without the length of lines, which depends on the folder."""
    sizes = re.compile(r"\b[\d.,]+ [KMG]?i?B\b")
    return [re.sub("─+", "─", sizes.sub("#", line)) for line in lines_without_times("\n".join(lines))]


def _empty(folder: Path, _root: Path) -> Path:
    return check_out(folder)


def _after_demo(folder: Path, root: Path) -> Path:
    """With data of one's own in path/to, too."""
    made, _ = demonstrated(root)
    check_out(folder)
    shutil.copytree(made / "data", folder / "data")
    write_sample(folder / "path" / "to", events=300, songs=20, days=2, seed=3)
    return made


def before_user_levels(folder: Path, root: Path) -> Path:
    """The sample of the demo, taken in by code that does not have gold.user_levels yet."""
    made, _ = demonstrated(root)
    check_out(folder)
    shutil.copytree(made / "data" / "sample", folder / "data" / "sample")
    (folder / "gold" / "user_levels.py").unlink()
    layer = folder / "gold" / "__init__.py"
    without = layer.read_text(encoding="utf-8").replace(", user_levels, ", ", ")
    layer.write_text(without.replace("(*STAR, user_levels.TABLE)", "STAR"), encoding="utf-8")
    printed = Story(folder, folder).run("python lakehouse.py run")
    assert not any("user_levels" in line for line in printed)
    return folder


SCENES: dict[str, Callable[[Path, Path], Path]] = {
    "an empty checkout": _empty,
    "a checkout where make demo has run": _after_demo,
    "a checkout before gold.user_levels": before_user_levels,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
