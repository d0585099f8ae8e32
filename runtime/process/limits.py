"""Limits of this process: open files, threads, address space.

When a limit is too low, Sail and gRPC hang or abort the process. So we test the limits before they start.
"""

from __future__ import annotations

import mmap
import os
import resource
import threading

from runtime.errors import EngineError, UsageError

LEAST_FILES, ENOUGH_FILES = 64, 4096
ADDRESS_SPACE = 3 * 1024**3  # bytes that an engine's allocators and stacks reserve, most of them unused


def require_files() -> None:
    """Raise the soft limit of open files. Raises UsageError when the hard limit is too low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    if target < LEAST_FILES:
        raise UsageError(
            f"this process may open {target} files, and needs {LEAST_FILES} at least. Raise the limit with "
            "`ulimit -n`, or where the service or container is defined, and run again."
        )


def require_threads_and_memory() -> None:
    """Allocate what an engine in this process needs, as a test. Raises EngineError with the limits."""
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        try:
            mmap.mmap(-1, ADDRESS_SPACE).close()
        except OSError:
            raise too_little("address space", f"{ADDRESS_SPACE // 1024**3} GiB more of it") from None
    count = 20 + 4 * len(os.sched_getaffinity(0))
    release = threading.Event()
    threads = [threading.Thread(target=release.wait, daemon=True) for _ in range(count)]
    try:
        for thread in threads:
            thread.start()
    except RuntimeError:
        raise too_little("threads", f"{count} more of them") from None
    finally:
        release.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


def too_little(what: str, wanted: str) -> EngineError:
    """The error for an engine without enough of a resource, with the current limits."""
    return EngineError(f"engine: not enough {what}: it needs {wanted}. {advice()}")


def advice() -> str:
    """The limits of this process and how to raise them, as text."""
    by_flag = {"-u": resource.RLIMIT_NPROC, "-v": resource.RLIMIT_AS, "-n": resource.RLIMIT_NOFILE}
    limits = ", ".join(f"ulimit {flag} {_text(flag, limit)}" for flag, limit in by_flag.items())
    return (
        f"The limits here: {limits}; a container may have its own (pids.max). Raise the one that is too "
        "low, or end other processes of this user, then run again."
    )


def _text(flag: str, limit: int) -> str:
    soft, _ = resource.getrlimit(limit)
    return "unlimited" if soft == resource.RLIM_INFINITY else str(soft // 1024 if flag == "-v" else soft)
