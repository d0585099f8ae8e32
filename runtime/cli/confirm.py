"""Ask before a change that cannot be undone or that affects other users."""

from __future__ import annotations

import sys

from runtime.cli.context import tell
from runtime.errors import UsageError

DECLINED = 1


def confirmed(question: str, *, yes: bool) -> bool:
    """Whether the user agrees. Raises UsageError without a terminal, unless `yes`."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(f"{question} There is no terminal to ask on: agree with --yes.")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    agreed = sys.stdin.readline().strip().lower() in ("y", "yes")
    if not agreed:
        tell("Nothing was changed.")
    return agreed
