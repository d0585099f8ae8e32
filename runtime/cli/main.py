"""Run one command line: exit codes and error messages.

0 done or nothing to do · 1 a check failed or a file could not be read · 2 usage, configuration, source
or credentials · 3 internal · 4 lease held · 130 interrupted · 143 terminated.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import click

from runtime.cli.context import warn
from runtime.cli.program import program
from runtime.errors import LakehouseError
from runtime.process import limits
from runtime.process.deadline import ending
from runtime.settings.secrets import without_passwords
from runtime.text.nearest import nearest

COMPLETION = "_LAKEHOUSE_COMPLETE"  # set by the completion scripts
INTERNAL, USAGE, INTERRUPTED, TERMINATED = 3, 2, 130, 143
# Errors of the operating system that a user can fix: rights, a read-only or full disk, limits.
LIMITED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, *LIMITED)
NO_THREAD = "can't start new thread"  # Python has no exception class for this


class Terminated(BaseException):
    """SIGTERM as an exception, so that the lease is released on the way out."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, sys.argv by default. Returns its exit code; raises nothing."""
    if arguments is None and (request := os.environ.get(COMPLETION)):
        from runtime.cli.shell_scripts import complete

        return complete(request)
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _terminable(), ending(_cut_short):
            return _ended(words)
    except BrokenPipeError:
        # The reader of stdout closed the pipe. Python would fail to flush it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, Terminated) as stop:
        code, how = _stopped(stop)
        warn(f"{how}: the lake stays as last published.")
    except click.UsageError as wrong:
        code = USAGE
        warn(_usage(wrong))
    except LakehouseError as wrong:
        code = wrong.exit_code
        warn(f"error: {wrong}")
        _trace(words)
    except Exception as fault:
        refusal = _refusal(fault)
        code = USAGE if refusal else INTERNAL
        warn(refusal or _fault(fault))
        _trace(words)
    except BaseException as panic:
        if type(panic).__name__ != "PanicException":  # Rust's: no library exports the class
            raise
        code = INTERNAL
        warn(_fault(panic))
        _trace(words)
    return code


def _ended(words: list[str]) -> int:
    try:
        with program.make_context("python lakehouse.py", words) as context:
            code: int = program.invoke(context)
            return code
    except click.exceptions.Exit as end:
        return end.exit_code


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM raises Terminated once; a second one must not interrupt the clean-up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _cut_short(error: LakehouseError) -> None:
    """Exit at once: the threads of the engine are blocked, and clean-up would block too."""
    if sys.stderr.isatty() and sys.__stderr__:
        sys.__stderr__.write("\x1b[?25h")  # bars hide the cursor
    warn(f"error: {error}")
    os._exit(error.exit_code)


def _stopped(stop: BaseException) -> tuple[int, str]:
    return (TERMINATED, "terminated") if isinstance(stop, Terminated) else (INTERRUPTED, "interrupted")


def _usage(wrong: click.UsageError) -> str:
    """One paragraph; the help for a bare `lakehouse.py`."""
    if isinstance(wrong, click.exceptions.NoArgsIsHelpError):
        return wrong.format_message()
    command = wrong.ctx.command_path if wrong.ctx else "python lakehouse.py"
    what = without_passwords(_what(wrong))  # a stray argument may be an address
    return f"error: {what}{'' if what[-1] in '.?' else '.'} See: {command} --help"


def _what(wrong: click.UsageError) -> str:
    if isinstance(wrong, click.exceptions.NoSuchOption):
        return f"no such option '{wrong.option_name}'{_nearest(wrong.option_name, _options(wrong))}"
    if isinstance(wrong, click.exceptions.NoSuchCommand):
        return f"no such command '{wrong.command_name}'{_nearest(wrong.command_name, _commands(wrong))}"
    message = wrong.format_message()
    return message[:1].lower() + message[1:]


def _options(wrong: click.UsageError) -> list[str]:
    command = wrong.ctx.command if wrong.ctx else program
    return [name for p in command.params if isinstance(p, click.Option) for name in p.opts]


def _commands(wrong: click.UsageError) -> Iterable[str]:
    command = wrong.ctx.command if wrong.ctx else program
    # `help` is a command of other programs.
    return [*(command if isinstance(command, click.Group) else program).commands, "--help"]


def _nearest(name: str, names: Iterable[str]) -> str:
    return nearest(f"'{name}'", [f"'{other}'" for other in names])


def _refusal(fault: Exception) -> str | None:
    """The message for an error of the operating system, None for a fault of the program."""
    if isinstance(fault, MemoryError) or NO_THREAD in str(fault):
        return f"error: {NO_THREAD if NO_THREAD in str(fault) else 'no memory is left'}. {limits.advice()}"
    if not isinstance(fault, OSError) or fault.errno not in REFUSED:
        return None
    message = f"error: {fault.filename or 'the machine'}: {os.strerror(fault.errno or 0)}."
    return f"{message} {limits.advice()}" if fault.errno in LIMITED else message


def _fault(fault: BaseException) -> str:
    first = next((line for line in str(fault).splitlines() if line.strip()), "")
    return (
        f"error: internal: {type(fault).__name__}: {first} This is a fault of the program. The lake stays "
        "as last published. Run again with --debug to see where it happened."
    )


def _trace(words: list[str]) -> None:
    if "--debug" in words:
        warn(traceback.format_exc())
