"""What the system allows this process: open files, threads, address space.

Where a limit is too low, Sail and gRPC wait for ever, or abort the process. So we try before they start.
"""

from __future__ import annotations

import mmap
import os
import resource
import threading

from runtime.errors import EngineError, UsageError

LEAST_FILES, ENOUGH_FILES = 64, 4096
ADDRESS_SPACE = 3 * 1024**3  # bytes that allocators and stacks of an engine reserve, most of them unused


def require_files() -> None:
    """Raise the soft limit of open files as far as the hard limit lets us. Raises UsageError for too few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < LEAST_FILES:
        raise UsageError(
            f"this process may open {wanted} files, and needs {LEAST_FILES} at least. Raise the limit with "
            "`ulimit -n`, or where the service or container is defined, and run again."
        )


def require_threads_and_memory() -> None:
    """Try to have what an engine in this process takes. Raises EngineError naming the limits."""
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        try:
            mmap.mmap(-1, ADDRESS_SPACE).close()
        except OSError:
            raise too_little("address space", f"{ADDRESS_SPACE // 1024**3} GiB more of it") from None
    wanted = 20 + 4 * len(os.sched_getaffinity(0))
    go_on = threading.Event()
    tried = [threading.Thread(target=go_on.wait, daemon=True) for _ in range(wanted)]
    try:
        for thread in tried:
            thread.start()
    except RuntimeError:
        raise too_little("threads", f"{wanted} more of them") from None
    finally:
        go_on.set()
        for thread in tried:
            if thread.ident is not None:
                thread.join()


def too_little(what: str, wanted: str) -> EngineError:
    """The error of an engine that has too little of something, with the limits that bound it."""
    return EngineError(f"engine: not enough {what}: it needs {wanted}. {advice()}")


def advice() -> str:
    """The limits of this process, and how to raise them."""
    found = {"-u": resource.RLIMIT_NPROC, "-v": resource.RLIMIT_AS, "-n": resource.RLIMIT_NOFILE}
    limits = ", ".join(f"ulimit {flag} {_text(flag, limit)}" for flag, limit in found.items())
    return (
        f"The limits here: {limits}; a container may have its own (pids.max). Raise the one that is too "
        "low, or end other processes of this user, then run again."
    )


def _text(flag: str, limit: int) -> str:
    soft, _ = resource.getrlimit(limit)
    return "unlimited" if soft == resource.RLIM_INFINITY else str(soft // 1024 if flag == "-v" else soft)
