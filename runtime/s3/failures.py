"""Explains the S3 errors of all clients: what, where, why, what to do.

Every client's message contains the server's error code, so errors are recognised by their text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.errors import LakehouseError, StorageError
from runtime.s3.config import CHAIN, Access, is_s3, split

_DENIED = (
    "access is denied",
    "Give these credentials the right to list and read it, and to write where the lake is; sources in a "
    "public bucket are read without any by --set s3.anonymous=true.",
)
_DENIED_ANONYMOUS = (
    "access is denied",
    "s3.anonymous reads sources without credentials, which a bucket allows only where it is public. A lake "
    "is always signed for: there, give the credentials the right to list, read and write.",
)
_SIGN_IN = ("the credentials have expired", f"Renew them: they come from {CHAIN}.")
_WRONG_REGION = ("the bucket is in another region", "Name its region with --set s3.region=REGION.")
_MEANINGS = {
    "NoSuchBucket": ("there is no such bucket", "Check its name, s3.endpoint and s3.region."),
    "InvalidAccessKeyId": (
        "the access key id is not known there",
        f"Check the credentials, which come from {CHAIN}, and s3.endpoint.",
    ),
    "SignatureDoesNotMatch": (
        "the secret access key is wrong",
        f"Check the credentials, which come from {CHAIN}.",
    ),
    "ExpiredToken": _SIGN_IN,
    "InvalidToken": _SIGN_IN,
    "TokenRefreshRequired": _SIGN_IN,
    "RequestTimeTooSkewed": ("this machine's clock is too far off", "Set the clock."),
    "PermanentRedirect": _WRONG_REGION,
    "AuthorizationHeaderMalformed": _WRONG_REGION,
    "IllegalLocationConstraintException": _WRONG_REGION,
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "NotImplemented": (
        "the server does not do what was asked of it; it may be read-only",
        "Name a place that can be written, and that knows conditional PUT (If-None-Match) and, where "
        "AWS_SESSION_TOKEN is set, session tokens.",
    ),
    "SlowDown": ("the server asks for fewer requests", "Run again later."),
    "ServiceUnavailable": ("the server is not available", "Run again later."),
}
# Patterns for messages without a code: a response to HEAD has no body, and a dead server sends none.
_SIGNS = (
    (
        r"missing credentials|no credentials|not load credentials|Unable to load credentials"
        r"|CredentialsNotLoaded|NoAuthWithAWS|provider was not enabled|169\.254\.|IMDS",
        (
            "no credentials were found",
            f"Provide {CHAIN}; sources in a public bucket are read without any by --set s3.anonymous=true.",
        ),
    ),
    (
        r"Connection refused|ConnectException|tcp connect error|dns error|UnknownHost|failed to lookup"
        r"|error sending request",
        ("nothing answers there", "Check s3.endpoint, and that the server runs; then run again."),
    ),
    (
        r"InvalidPathError|illegal character sequence",
        (
            "an object's key there holds a control character, which no client of ours can ask for",
            "Rename or remove that object; --debug shows its key.",
        ),
    ),
    (r"timed out|operation timeout|TimeoutException", ("no answer came in time", "Run again later.")),
    (r"301 Moved|Received redirect", _WRONG_REGION),
    (r"403 Forbidden|Status Code: 403", _DENIED),
    (r"50[0234] [A-Z]|Status Code: 50[0234]", ("the server fails to answer", "Run again later.")),
    (r"Connection reset|connection closed|broken pipe|IncompleteMessage"
     r"|Generic S3 error|Broken pipe|NoHttpResponse|Unable to execute HTTP request",
     ("the connection broke", "Check that the server runs, then run again.")),
)  # fmt: skip


def explained(error: BaseException, uri: str, access: Access) -> StorageError | None:
    """The error as a StorageError of one paragraph about `uri`; None when it is not about S3."""
    text = f"{type(error).__name__}: {error}"
    if from_worker := re.search(r"StorageError: (s3://[^\n]+)", text):  # already explained by a worker
        return StorageError(from_worker[1])
    meaning = next((m for code, m in _MEANINGS.items() if re.search(rf"\b{code}", text)), None)
    meaning = meaning or next((m for signs, m in _SIGNS if re.search(signs, text)), None)
    if meaning is None:
        return None
    what, advice = _DENIED_ANONYMOUS if meaning is _DENIED and access.anonymous else meaning
    return StorageError(f"{uri}: {what} ({_place(uri, access)}). {advice}")


def lapsed(uri: str, access: Access, seconds: float, met: Exception | None) -> StorageError:
    """The error of a run that could not renew its lease for `seconds`; `met` is its last error, if any."""
    refusal = met if isinstance(met, StorageError) else met and explained(met, uri, access)
    silent = f"{uri}: no answer came ({_place(uri, access)}). Check that the server answers, then run again."
    return StorageError(
        f"{refusal or silent} For {seconds:g} s the lease could not be renewed, so this command was ended: "
        "readers see the lake as last published, and the next run undoes what this one began."
    )


@contextmanager
def map_s3_errors(uri: str, access: Access) -> Iterator[None]:
    """Map S3 errors in the block to StorageError; errors of local locations pass unchanged."""
    try:
        yield
    except LakehouseError:
        raise
    except Exception as error:
        if is_s3(uri) and (refusal := explained(error, uri, access)):
            raise refusal from error
        raise


def _place(uri: str, access: Access) -> str:
    at = access.endpoint or f"AWS, region {access.region}"
    return f"bucket {split(uri)[0]} at {at}"
