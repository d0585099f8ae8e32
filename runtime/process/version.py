"""The version of this project, as installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def code_version() -> str:
    try:
        return version("sparkify-lakehouse")
    except PackageNotFoundError:
        return "unknown"
