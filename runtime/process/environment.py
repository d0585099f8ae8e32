"""Environment variables we set for S3 clients, tracked so that the user's own values can be restored.

Not in `runtime.s3`, which is pickled to workers by value: Sail unpickles it in this process, and the
functions there would get a copy of this module's state.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

_placed: dict[str, tuple[str, str | None]] = {}  # by name: our value, and the value before it


def set_environment(values: Mapping[str, str]) -> None:
    """Set variables, after restoring those of the previous call, which belong to another lake."""
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
    """The user's own value of a variable, without ours."""
    value = os.environ.get(name)
    ours, before = _placed.get(name, (None, None))
    return before if value == ours else value


def first_said(*names: str) -> str | None:
    """The user's own value of the first variable that is not empty."""
    return next((value for name in names if (value := said(name))), None)
