"""Whether the sources still have the exact content of earlier deliveries."""

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
    """The deliveries whose content is no longer at its source, each with the reason.

    Reads only files whose signature (size and times) differs from the delivery's.
    """
    expected = list(deliveries)
    listed, why = _listed(settings, {d.source for d in expected})
    unsure = [f for d in expected if (f := listed.get((d.source, d.path))) and f.signature != d.signature]
    read, _ = inspect_files(list(dict.fromkeys(unsure)), settings)
    contents = {(f.source, f.path): inspected for f, inspected in read}
    reasons = [(d, why[d.source] if d.source in why else _why(d, listed, contents)) for d in expected]
    return [(d, reason) for d, reason in reasons if reason is not None]


def _listed(
    settings: Settings, sources: Iterable[str]
) -> tuple[dict[tuple[str, str], Listed], dict[str, str]]:
    """The files by (source, path), and by source the reason why it cannot be listed."""
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
