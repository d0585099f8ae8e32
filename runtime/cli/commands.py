"""The options that every command accepts, before or after its name, and the command classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import Any

import click

from runtime.cli import complete_values
from runtime.cli.context import Invocation
from runtime.errors import UsageError

Body = Callable[..., int | None]
TARGET = "Settings of conf/NAME.yaml; local by default."
ENGINE = "Who executes the transformations."
SET = "Any setting; may be repeated."


def _note(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Store a shared option. The command is parsed after the program, so its value wins."""
    options: dict[str, Any] = context.ensure_object(dict)
    assert parameter.name is not None
    if parameter.multiple:
        value = (*options.get(parameter.name, ()), *value)
    if value is not None:
        options[parameter.name] = value


def _show_version(context: click.Context, _parameter: click.Parameter, is_given: bool) -> None:
    if is_given and not context.resilient_parsing:
        from runtime.process.version import code_version

        click.echo(f"sparkify-lakehouse {code_version()}")
        context.exit()


def _shared(*names: str, **attributes: Any) -> click.Option:
    return click.Option(names, **{"expose_value": False, "callback": _note, **attributes})


def shared_options() -> list[click.Option]:
    """The options accepted before or after every command."""
    on = {"is_flag": True, "default": None}
    formats = click.Choice(["table", "json", "csv"])
    version = {"is_flag": True, "is_eager": True, "callback": _show_version}
    folder, file = complete_values.place("dir"), complete_values.place("file")
    engines = complete_values.one_of("sail", "spark")
    return [
        _shared("--target", metavar="NAME", help=TARGET, shell_complete=complete_values.targets),
        _shared("--lake", metavar="DIR|URI", help="Where the lake is.", shell_complete=folder),
        _shared("--song-data", metavar="PATH|URI", help="Where songs are delivered.", shell_complete=file),
        _shared("--log-data", metavar="PATH|URI", help="Where logs are delivered.", shell_complete=file),
        _shared("--engine", metavar="sail|spark", help=ENGINE, shell_complete=engines),
        _shared(
            "--set", metavar="key=value", multiple=True, help=SET, shell_complete=complete_values.settings
        ),
        _shared("--format", type=formats, help="How data is printed; table by default."),
        _shared("-q", "--quiet", help="No progress, no notes.", **on),
        _shared("-v", "--verbose", help="More detail, and where each setting comes from.", **on),
        _shared("--debug", help="Show where an error was raised.", **on),
        _shared("--version", help="Show the version and exit.", **version),
    ]


class Command(click.Command):
    """A command whose help lists its own options apart from the shared ones."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        shared = {option.name for option in shared_options()}
        for title, is_shared in (("Options", False), ("Shared options", True)):
            parameters = [p for p in self.get_params(ctx) if (p.name in shared) == is_shared]
            records = [r for p in parameters if (r := p.get_help_record(ctx)) is not None]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class Family(Command, click.Group):
    """A command with subcommands."""

    def __init__(self, name: str, verbs: dict[str, click.Command], help: str) -> None:
        click.Group.__init__(self, name, verbs, help=help, params=list(shared_options()))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The subcommands in declaration order."""
        return list(self.commands)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The subcommands, then the options."""
        self.format_commands(ctx, formatter)
        Command.format_options(self, ctx, formatter)


def command(body: Body) -> Command:
    """Make a command, named after its function, which gets the Invocation before its own options.

    The function returns its exit code; None is 0.
    """

    def invoke(**own: Any) -> int:
        return body(_invocation(click.get_current_context().obj), **own) or 0

    made = click.command(cls=Command)(update_wrapper(invoke, body))
    made.params += shared_options()
    return made


def _invocation(options: Mapping[str, Any]) -> Invocation:
    invocation = Invocation(**options)
    if invocation.quiet and invocation.verbose:
        raise UsageError("--quiet and --verbose contradict each other: give one of them.")
    return invocation
