"""What a page of the documentation shows, to be done and compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.checkout import lines_without_times

COMMAND = "$ python lakehouse.py "


class Block(NamedTuple):
    """A fenced block, and the HTML comment that stands before it."""

    comment: str
    language: str
    text: str


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    found = re.findall(r"(?:<!-- ([^>]*) -->\n)?^```(\w+)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return [Block(*parts) for parts in found]


def asked(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block with the lines of output shown below it; make's own are left out."""
    if block.text.startswith("$ make demo"):  # a test of the demo holds it
        return
    for command in re.split(r"^(?=\$ )", block.text, flags=re.MULTILINE):
        line, _, output = command.partition("\n")
        if line.startswith(COMMAND):
            yield line.removeprefix(COMMAND), lines_without_times(output)


def edit(folder: Path, block: Block) -> None:
    """Do what the worked example says with a block: a new file, or lines in the place of those like them."""
    what, _, name = block.comment.partition(": ")
    if what == "file":
        (folder / name).write_text(block.text, encoding="utf-8")
        return
    code = (folder / name).read_text(encoding="utf-8")
    for line in filter(None, block.text.splitlines()):
        start = re.match(r".*?(?:import|=) ", line)
        assert start is not None
        code, replaced = re.subn(f"^{re.escape(start[0])}.*$", line, code, flags=re.MULTILINE)
        assert replaced == 1, line
    (folder / name).write_text(code, encoding="utf-8")
