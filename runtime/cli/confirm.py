"""Asking before something that cannot be taken back, or that others would notice."""

from __future__ import annotations

import sys

from runtime.cli.context import tell
from runtime.errors import UsageError

DECLINED = 1


def confirmed(question: str, *, yes: bool) -> bool:
    """Whether a person agrees. Raises UsageError where nobody can be asked and `yes` was not given."""
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
