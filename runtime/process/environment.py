"""What we put into the environment for clients that look there, told apart from what somebody said there.

Not below `runtime.s3`, which travels to workers by value: one that is unpickled in this process, as Sail's
are, would leave the functions there with a copy of this state.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

_placed: dict[str, tuple[str, str | None]] = {}  # by name: what we put there, and what was there before


def set_environment(values: Mapping[str, str]) -> None:
    """Put variables there, in place of those put before: none stays for the next lake."""
    if {name: ours for name, (ours, _) in _placed.items()} == values:
        return
    for name in list(_placed):
        before = said(name)
        del _placed[name]
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before
    for name, value in values.items():
        _placed[name] = value, os.environ.get(name)
        os.environ[name] = value


def said(name: str) -> str | None:
    """What somebody else than we put there."""
    found = os.environ.get(name)
    ours, before = _placed.get(name, (None, None))
    return before if found == ours else found


def first_said(*names: str) -> str | None:
    """The first of them that is not empty."""
    return next((value for name in names if (value := said(name))), None)
