"""What a page of the documentation shows, block by block.

A comment before a block says what is done with it:

    file: NAME        it is written to that file
    lines of: NAME    its lines take the place of those like them in that file
    part of: NAME     it stands in that file of the project, word for word
    ends with N       its last command ends with this exit code
    tested in: NAME   that test runs it, or compares it with what was run
    not run: WHY      nobody does

Without one, on a page that says where it runs, the commands of a `console` block are run and what they print
is compared, a `python` block is run, and one of `>>>` is a doctest. Any other block must have one, or a
sentence before it that ends in "Not run here."
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.support.checkout import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
SCENE = re.compile(r"<!-- runs in: (.*) -->")
BLOCK = re.compile(
    r"(?:<!-- (?P<comment>[^>]*) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)
GENERATED = re.compile(r"<!-- generated: .*?<!-- end of [\w-]+ -->", re.S)
HELD = ("file", "lines of", "part of", "tested in", "not run")


class Block(NamedTuple):
    """A fenced block, and the HTML comment that stands before it."""

    comment: str
    language: str
    text: str

    @property
    def kind(self) -> str:
        """What the comment says is done with it; nothing where that is seen from the block itself."""
        return self.comment.partition(":")[0]

    @property
    def name(self) -> str:
        """The file that the comment names."""
        return self.comment.partition(": ")[2]

    @property
    def is_told(self) -> bool:
        """Whether its commands are run and answered below."""
        return self.language == "console" and self.kind not in HELD

    @property
    def is_doctest(self) -> bool:
        """Whether it is a session at Python's prompt."""
        return self.language == "python" and self.text.startswith(">>> ")

    @property
    def is_program(self) -> bool:
        """Whether it is Python to be run as it stands."""
        return self.language == "python" and not self.comment and not self.is_doctest


def block_of(found: re.Match[str]) -> Block:
    """The block of a match of BLOCK."""
    return Block(found["comment"] or "", found["language"], found["text"])


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    return [block_of(found) for found in BLOCK.finditer(page)]


def said_by_hand(found: re.Match[str]) -> bool:
    """Whether the sentence before the block says if anyone ran it: it is none for a test."""
    return found.string[: found.start()].rstrip().endswith(("Not run here.", "Run here."))


def unheld(page: str) -> list[Block]:
    """The blocks that nothing holds to the truth, and that do not say so."""
    without = GENERATED.sub(lambda part: part[0] if "<!-- file: " in part[0] else "", page)
    is_run = SCENE.search(page) is not None
    return [
        block
        for found in BLOCK.finditer(without)
        for block in [block_of(found)]
        if not (is_run and (block.is_told or block.is_doctest or block.is_program))
        and block.kind not in HELD
        and not said_by_hand(found)
    ]


def edit(folder: Path, block: Block) -> None:
    """Do what the page says with a block: a new file, or lines in the place of those like them."""
    if block.kind == "file":
        (folder / block.name).write_text(block.text, encoding="utf-8")
        return
    code = (folder / block.name).read_text(encoding="utf-8")
    for line in filter(None, block.text.splitlines()):
        start = re.match(r".*?(?:import|=) ", line)
        assert start is not None
        code, replaced = re.subn(f"^{re.escape(start[0])}.*$", line, code, flags=re.MULTILINE)
        assert replaced == 1, line
    (folder / block.name).write_text(code, encoding="utf-8")
