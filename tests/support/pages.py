"""The code blocks of a page of the documentation.

A comment before a block states how tests use it:

    file: NAME        write the block to that file
    lines of: NAME    its lines replace similar lines of that file
    part of: NAME     that file of the project contains the block, word for word
    ends with N       its last command has this exit code
    tested in: NAME   that test runs it, or compares it with its own run
    not run: WHY      no test runs it

Without a comment, on a page with `runs in`, tests run a `console` block and compare its output, run a
`python` block, and run one with `>>>` as a doctest. Any other block needs a comment, or a sentence before it
that ends in "Not run here."
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
    """A fenced block, and the HTML comment before it."""

    comment: str
    language: str
    text: str

    @property
    def kind(self) -> str:
        """The use that the comment states; empty if the block's language decides."""
        return self.comment.partition(":")[0]

    @property
    def name(self) -> str:
        """The file that the comment names."""
        return self.comment.partition(": ")[2]

    @property
    def is_told(self) -> bool:
        """Whether it shows commands with their output."""
        return self.language == "console" and self.kind not in HELD

    @property
    def is_doctest(self) -> bool:
        """Whether it is a session with `>>>` prompts."""
        return self.language == "python" and self.text.startswith(">>> ")

    @property
    def is_program(self) -> bool:
        """Whether it is Python to run unchanged."""
        return self.language == "python" and not self.comment and not self.is_doctest


def block_of(found: re.Match[str]) -> Block:
    """The block of a match of BLOCK."""
    return Block(found["comment"] or "", found["language"], found["text"])


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    return [block_of(match) for match in BLOCK.finditer(page)]


def said_by_hand(found: re.Match[str]) -> bool:
    """Whether the sentence before the block states if it was run by hand: tests skip it."""
    return found.string[: found.start()].rstrip().endswith(("Not run here.", "Run here."))


def unheld(page: str) -> list[Block]:
    """The blocks that no test covers and that are not marked as such."""
    without = GENERATED.sub(lambda part: part[0] if "<!-- file: " in part[0] else "", page)
    is_run = SCENE.search(page) is not None
    return [
        block
        for match in BLOCK.finditer(without)
        for block in [block_of(match)]
        if not (is_run and (block.is_told or block.is_doctest or block.is_program))
        and block.kind not in HELD
        and not said_by_hand(match)
    ]


def edit(folder: Path, block: Block) -> None:
    """Apply a block to a checkout: write a file, or replace similar lines."""
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
