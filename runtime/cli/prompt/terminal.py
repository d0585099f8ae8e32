"""The terminal of the prompt: editing, history over sessions, completion by TAB."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import create_output
from prompt_toolkit.shortcuts import CompleteStyle

from runtime.cli.context import Invocation
from runtime.cli.prompt.parse import completions, is_complete
from runtime.cli.prompt.repl import Conversation, Leave


def converse(invocation: Invocation, *, batch: int | None, as_of: str | None) -> None:
    """Read and run inputs until the user leaves. Raises LakehouseError where there is no lake to read."""
    lake = invocation.open()
    conversation = Conversation(invocation, lake, lake.at(batch=batch, as_of=as_of))
    session = _session(conversation)
    invocation.say("One reading statement, ended by a semicolon; .help says what else; Ctrl-D leaves.")
    while True:
        try:
            conversation.say(_line(session, conversation.mark))
        except KeyboardInterrupt:
            continue
        except (EOFError, Leave):
            return


def _line(session: PromptSession[str], mark: str) -> str:
    """Read one input. SIGTERM ends the event loop of the prompt, then is raised again.

    An exception inside the loop would be printed, and prompt_toolkit would wait for a key."""
    came = threading.Event()

    def leave() -> None:
        if came.is_set() and session.app.future is not None and not session.app.future.done():
            session.app.exit(exception=EOFError)

    def on_sigterm(_signal: int, _frame: FrameType | None) -> None:
        came.set()
        if session.app.loop is not None:
            session.app.loop.call_soon_threadsafe(leave)

    before = signal.signal(signal.SIGTERM, on_sigterm)
    try:
        return session.prompt(mark, pre_run=leave)
    finally:
        signal.signal(signal.SIGTERM, before)
        if came.is_set():
            signal.raise_signal(signal.SIGTERM)


def _session(conversation: Conversation) -> PromptSession[str]:
    return PromptSession(
        history=_history(),
        completer=_Completer(conversation),
        complete_while_typing=False,
        complete_style=CompleteStyle.READLINE_LIKE,
        multiline=True,
        prompt_continuation=lambda width, _line, _wrapped: "-> ".rjust(width),
        key_bindings=_keys(),
        # If stdout is a file, the prompt is on stderr.
        output=create_output(always_prefer_tty=True),
    )


def _keys() -> KeyBindings:
    """Enter ends a complete input, and begins a new line in an incomplete one."""
    keys = KeyBindings()
    complete = Condition(lambda: is_complete(get_app().current_buffer.text))

    @keys.add("enter", filter=has_focus("DEFAULT_BUFFER") & complete)
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    return keys


class _Completer(Completer):
    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        tables, commands = self._conversation.columns(), self._conversation.arguments()
        for text, replaced in completions(document.text_before_cursor, tables, commands):
            yield Completion(text, start_position=-replaced)


def _history() -> History:
    """The history of all sessions, in the user's state folder; of this one if that is not writable."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    file = state / "sparkify-lakehouse" / "query_history"
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(file))
