"""Whether what was delivered once is still at its source, content for content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runtime.errors import SourceError
from runtime.ledger.facts import Delivery
from runtime.run.plan import inspect_files
from runtime.settings.load import Settings
from runtime.sources.filesystems import FileSystems
from runtime.sources.inspection import Inspected
from runtime.sources.listing import Listed, list_source

GONE = "is no longer there"
OTHER = "holds another content than was delivered"


def unavailable(settings: Settings, deliveries: Iterable[Delivery]) -> list[tuple[Delivery, str]]:
    """Those that the sources no longer hold, each with the reason.

    Reads only files whose size or times are not those of the delivery.
    """
    wanted = list(deliveries)
    listed, why = _listed(settings, {d.source for d in wanted})
    unsure = [f for d in wanted if (f := listed.get((d.source, d.path))) and f.signature != d.signature]
    read, _ = inspect_files(list(dict.fromkeys(unsure)), settings)
    contents = {(f.source, f.path): inspected for f, inspected in read}
    found = [(d, _why(d, listed, contents) if d.source not in why else why[d.source]) for d in wanted]
    return [(d, reason) for d, reason in found if reason is not None]


def _listed(
    settings: Settings, sources: Iterable[str]
) -> tuple[dict[tuple[str, str], Listed], dict[str, str]]:
    """The files of the sources by source and path, and why a source cannot be listed."""
    filesystems = FileSystems.reached(settings.s3)
    listed: dict[tuple[str, str], Listed] = {}
    why: dict[str, str] = {}
    for source in sources:
        root = getattr(settings, source)
        if root is None:
            why[source] = f"cannot be looked for: no --{source.replace('_', '-')} is given"
            continue
        try:
            listed |= {(f.source, f.path): f for f in list_source(source, root, filesystems).files}
        except SourceError as error:
            why[source] = f"cannot be looked for: {error}"
    return listed, why


def _why(
    delivery: Delivery,
    listed: Mapping[tuple[str, str], Listed],
    contents: Mapping[tuple[str, str], Inspected],
) -> str | None:
    place = (delivery.source, delivery.path)
    if place not in listed:
        return GONE
    if listed[place].signature == delivery.signature:
        return None
    return None if place in contents and contents[place].digest == delivery.digest else OTHER
