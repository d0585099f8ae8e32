"""The program: its commands in their sections. A new command is one module and one line here."""

from __future__ import annotations

import click

from runtime.cli.commands import Command, shared_options
from runtime.cli.diff import diff
from runtime.cli.doctor import doctor
from runtime.cli.export import export
from runtime.cli.history import history
from runtime.cli.optimize import optimize
from runtime.cli.pin import pin, unpin
from runtime.cli.plan import plan
from runtime.cli.quarantine import quarantine
from runtime.cli.query import query
from runtime.cli.report import report
from runtime.cli.restore import restore
from runtime.cli.run import run
from runtime.cli.sample import sample
from runtime.cli.status import status
from runtime.cli.trace import trace
from runtime.cli.unlock import unlock
from runtime.cli.vacuum import vacuum
from runtime.cli.verify import verify

SECTIONS: dict[str, list[Command]] = {
    "Pipeline": [run, plan, sample],
    "Read": [status, history, query, diff, trace, report],
    "Care": [verify, doctor, quarantine, restore, optimize, vacuum, pin, unpin, unlock, export],
}


class Program(click.Group):
    """The command group; its help lists the commands by section, then the shared options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(name) for name in self.commands)
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(str(c.name).ljust(width), (c.help or "").partition("\n")[0]) for c in commands]
                )
        click.Command.format_options(self, ctx, formatter)


program = Program(
    name="python lakehouse.py",
    help="Sparkify's lakehouse: raw JSON of songs and listening logs to a star schema in Delta Lake.",
    epilog="Options may stand before or after the command. COMMAND --help tells more.",
    commands={str(c.name): c for commands in SECTIONS.values() for c in commands},
    params=list(shared_options()),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
