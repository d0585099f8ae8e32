"""A temporary lake inside the lake that verify checks."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from runtime.delta.store import Store
from runtime.errors import room_needed
from runtime.s3.client import bucket_of
from runtime.s3.config import Access, is_s3, split

FOLDER = "_verify"
FORGOTTEN_MILLIS = 24 * 3600 * 1000  # a killed verify's folder is removed after this


@contextmanager
def scratch_lake(store: Store) -> Iterator[Store]:
    """A folder for temporary tables, which Delta readers skip. Several can exist at once."""
    number = time.time_ns() // 1_000_000
    spaces = f"{store.root}/{FOLDER}"
    for name in _numbers(spaces, store.access):
        if name < number - FORGOTTEN_MILLIS:
            _remove(f"{spaces}/{name}", store.access)
    scratch = replace(store, root=f"{spaces}/{number}")
    if not is_s3(spaces):
        with room_needed(store.root):
            Path(scratch.root).mkdir(parents=True)
    try:
        yield scratch
    finally:
        _remove(scratch.root, store.access)
        if not is_s3(spaces):
            with suppress(OSError):  # another verify is at work
                Path(spaces).rmdir()


def _numbers(spaces: str, access: Access) -> list[int]:
    if is_s3(spaces):
        import obstore

        listed = obstore.list_with_delimiter(bucket_of(spaces, access), split(spaces)[1] + "/")
        names = [prefix.rstrip("/").rpartition("/")[2] for prefix in listed["common_prefixes"]]
    else:
        names = [space.name for space in Path(spaces).glob("*")]
    return [int(name) for name in names if name.isdecimal()]


def _remove(folder: str, access: Access) -> None:
    if not is_s3(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    bucket = bucket_of(folder, access)
    for page in bucket.list(split(folder)[1] + "/"):
        bucket.delete([item["path"] for item in page])
