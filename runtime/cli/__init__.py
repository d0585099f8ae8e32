"""The command line. One module per command; `program` lists them."""

from runtime.cli.main import main

__all__ = ["main"]
