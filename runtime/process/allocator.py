"""What the allocators of this process do with memory that was freed.

Arrow, delta-rs and Sail each bring mimalloc, which looks into the environment when it is loaded. So
nothing that loads one may be imported here.
"""

from __future__ import annotations

import os

PURGE_DELAY = "MIMALLOC_PURGE_DELAY"
AT_ONCE = "0"


def give_back(*, at_once: bool) -> None:
    """Say what those that are loaded from now on do; another value, which a user has set, stands."""
    if at_once:
        os.environ.setdefault(PURGE_DELAY, AT_ONCE)
    elif os.environ.get(PURGE_DELAY) == AT_ONCE:
        del os.environ[PURGE_DELAY]
