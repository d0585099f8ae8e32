"""Shell completion of values: tables, batches, settings, paths. Starts no engine, uses no network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

from runtime.errors import LakehouseError

if TYPE_CHECKING:
    import click

Offer = list[CompletionItem[str]]
Completer = Callable[["click.Context", "click.Parameter", str], Offer]


def one_of(*values: str) -> Completer:
    """A fixed list of values."""
    return lambda _context, _parameter, begun: _beginning(begun, values)


def place(kind: str) -> Completer:
    """A local path, completed by the shell itself; `kind`: dir or file."""
    return lambda _context, _parameter, begun: [CompletionItem(begun, type=kind)]


def targets(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offer:
    """The files of conf/, except base."""
    from runtime.settings.layers import targets
    from runtime.settings.load import CONF

    return _beginning(begun, targets(CONF))


def settings(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offer:
    """`key=` for every setting; after it, the values of a setting with a fixed choice."""
    from runtime.settings.model import KEYS, choices

    key, equals, _ = begun.partition("=")
    if equals:
        return _beginning(begun, (f"{key}={value}" for value in choices(key)))
    return _beginning(begun, (f"{key}=" for key in KEYS))


def tables(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offer:
    """Every table by its full name."""
    from lakehouse import Lakehouse

    return _beginning(begun, Lakehouse.tables)


def bare_tables(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offer:
    """Every table, gold without its layer; once a word is begun, also the full names."""
    from lakehouse import Lakehouse

    full = Lakehouse.tables if begun else ()
    bare = (name.removeprefix("gold.") for name in Lakehouse.tables)
    return _beginning(begun, dict.fromkeys((*bare, *full)))


def layers_and_tables(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offer:
    """Every layer, then every table."""
    from lakehouse import Lakehouse

    layers = dict.fromkeys(table.layer for table in Lakehouse.tables.values())
    return _beginning(begun, (*layers, *Lakehouse.tables))


def reasons(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offer:
    """Every expectation by its name."""
    from lakehouse import Lakehouse

    rules = dict.fromkeys(name for table in Lakehouse.tables.values() for name in table.expectations)
    return _beginning(begun, rules)


def batches(context: click.Context, _parameter: click.Parameter, begun: str) -> Offer:
    """The batches of the lake on the command line, newest first, each with its kind and time.

    None for a lake in a bucket: a request takes too long for a key press.
    """
    from runtime.cli.context import Invocation
    from runtime.s3.config import is_s3
    from runtime.text.amounts import when

    try:
        lake = Invocation(**(context.obj or {})).open()
        states = [] if is_s3(lake.settings.lake) else lake.history()
    except LakehouseError:
        return []
    kinds = {str(s["batch_id"]): f"{s['kind']} of {when(s['at'])} UTC" for s in reversed(states)}
    return [CompletionItem(number, help=about) for number, about in kinds.items() if number.startswith(begun)]


def _beginning(begun: str, values: Iterable[str]) -> Offer:
    return [CompletionItem(value) for value in values if value.startswith(begun)]
