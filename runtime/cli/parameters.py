"""Parameters that several commands share, with their shell completion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from runtime.cli import complete_values

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def batch_option(help: str = "The lake as batch N published it.", *, required: bool = False) -> Decorator:
    """`--batch N`."""
    kind: dict[str, Any] = {"type": int, "metavar": "N", "shell_complete": complete_values.batches}
    return click.option("--batch", required=required, help=help, **kind)


def batch_argument(name: str, metavar: str = "BATCH") -> Decorator:
    """A required batch number."""
    return click.argument(name, metavar=metavar, type=int, shell_complete=complete_values.batches)


def table_option(name: str, metavar: str) -> Decorator:
    """`--table T`, repeatable."""
    help = "Only this table; may be repeated."
    kind: dict[str, Any] = {"multiple": True, "help": help, "shell_complete": complete_values.bare_tables}
    return click.option("--table", name, metavar=metavar, **kind)
