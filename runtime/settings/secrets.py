"""Secrets do not belong in conf files or on command lines: recognising what looks like one."""

import re
from collections.abc import Iterator, Mapping

# Keys are compared without separators, so access_key, access.key and accessKey are one word.
_SECRET_KEY = re.compile(r"secret|password|passwd|token|credential|accesskey|privatekey")
_IN_ADDRESS = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@|(\bpassword=)[^&\s]+", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"(AKIA|ASIA)[0-9A-Z]{16}|-----BEGIN|://[^/\s:@]*:[^/\s@]+@")

ADVICE = (
    "looks like a secret, and none may stand here: leave it to the standard credential chain "
    "(AWS_* environment variables, ~/.aws, an instance role)"
)


def looks_secret(key: str, value: object) -> bool:
    """Whether the key's name, or anything in the value, looks like a credential."""
    if isinstance(value, Mapping):
        return any(looks_secret(f"{key}.{inner}", item) for inner, item in value.items())
    return _names_a_secret(key) or holds_secret(value)


def holds_secret(value: object) -> bool:
    """Whether the value, whatever its key, looks like a credential."""
    return _SECRET_VALUE.search(str(value)) is not None


def secret_comments(text: str) -> Iterator[int]:
    """Numbers of the lines, from 1, whose comment looks like it holds a credential."""
    for number, line in enumerate(text.splitlines(), start=1):
        if holds_secret(line.partition("#")[2]):
            yield number


def without_passwords(text: str) -> str:
    """The text, passwords in addresses masked."""
    return _IN_ADDRESS.sub(lambda found: f"{found[1] or found[2]}***{'@' if found[1] else ''}", text)


def _names_a_secret(key: str) -> bool:
    # fs.s3a.aws.credentials.provider holds the name of a class: it is how the chain is chosen.
    if key.lower().endswith("credentials.provider"):
        return False
    return _SECRET_KEY.search(re.sub(r"[^a-z0-9]", "", key.lower())) is not None


def shown(value: object) -> str:
    """The value as an error message may print it: short, and never a credential."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if holds_secret(value):
        return "a value not shown here"
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
