"""The provider's key: a file that the kubelet mounts, and changes when its Secret changes."""

from pathlib import Path

from splai.providers.errors import UPSTREAM, RequestError


class KeyMissing(Exception):
    """There is no key; the message says what to do."""


def read_key(path: Path | None) -> str | None:
    """The key as it is now; None for a provider that wants none. Raises KeyMissing.

    It is read for every request, from memory, so that a new key needs no restart.
    """
    if path is None:
        return None
    try:
        key = path.read_text().strip()
    except OSError:
        key = ""
    if not key or not key.isascii() or not key.isprintable():
        raise KeyMissing(
            "remote.apiKeySecretRef names no key: the Secret is missing, has no such key, or holds there what is none"
        )
    return key


def no_key(missing: KeyMissing) -> RequestError:
    """What callers are told whose request came while there was none."""
    return RequestError(502, str(missing), kind=UPSTREAM, code="provider_key_missing", passes=False)
