"""When the allocators of this process return freed memory to the system.

Arrow, delta-rs and Sail each bundle mimalloc, which reads the environment when it is loaded. So this
module must not import any of them.
"""

from __future__ import annotations

import os

PURGE_DELAY = "MIMALLOC_PURGE_DELAY"
AT_ONCE = "0"


def give_back(*, at_once: bool) -> None:
    """Set whether allocators loaded later return memory at once. A value that the user has set is kept."""
    if at_once:
        os.environ.setdefault(PURGE_DELAY, AT_ONCE)
    elif os.environ.get(PURGE_DELAY) == AT_ONCE:
        del os.environ[PURGE_DELAY]
