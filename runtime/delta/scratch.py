"""Scratch space: one folder for each owner, named by its claim, on local disk or in a bucket."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from runtime.s3.client import bucket_of
from runtime.s3.config import Access, is_s3, split


def clear(spaces: str, claim: int, access: Access) -> None:
    """Empty the scratch space of this claim and of earlier ones, never of a later one.

    Files that cannot be deleted now are deleted by a later call.
    """
    if is_s3(spaces):
        with suppress(Exception):
            _clear_bucket(spaces, claim, access)
    else:
        _clear_folder(Path(spaces), claim)


def _clear_folder(spaces: Path, claim: int) -> None:
    for space in spaces.glob("*"):
        if _is_ours(space.name, claim):
            shutil.rmtree(space, ignore_errors=True)
    with suppress(OSError):  # not empty, or missing
        spaces.rmdir()


def _clear_bucket(spaces: str, claim: int, access: Access) -> None:
    import obstore

    bucket = bucket_of(spaces, access)
    for prefix in obstore.list_with_delimiter(bucket, split(spaces)[1])["common_prefixes"]:
        if _is_ours(prefix.rstrip("/").rpartition("/")[2], claim):
            for page in bucket.list(prefix):
                obstore.delete(bucket, [item["path"] for item in page])


def size(space: str, access: Access) -> dict[str, int]:
    """`files` and `bytes` of the Parquet files in a folder."""
    if is_s3(space):
        pages = bucket_of(space, access).list(split(space)[1] + "/")
        files = [(item["path"], item["size"]) for page in pages for item in page]
    else:
        files = [(str(file), file.stat().st_size) for file in Path(space).rglob("*.*")]
    sizes = [bytes_ for path, bytes_ in files if path.endswith(".parquet")]
    return {"files": len(sizes), "bytes": sum(sizes)}


def _is_ours(name: str, claim: int) -> bool:
    return not name.isdecimal() or int(name) <= claim
