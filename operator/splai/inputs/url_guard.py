"""Which addresses the URL of an input may lead to, in the words that a job's status has for it.

Over HTTP what counts is the address that was connected to; an S3 client does not tell it, so there it is what the name
meant just before.
"""

from collections.abc import Mapping
from typing import Any

from splai import url_guard
from splai.inputs.errors import FORBIDDEN, NOT_FOUND, SourceUnusable
from splai.url_guard import AddressRefused, allows_private

__all__ = ["URLGuard", "allows_private", "host_of"]


def host_of(url: str) -> str:
    """The host that a URL leads to; raises SourceUnusable for what is no URL."""
    try:
        return url_guard.host_of(url)
    except ValueError as error:
        raise SourceUnusable(NOT_FOUND, "the URL is not valid: it has no host, or a port that is none") from error


class URLGuard:
    """Refuses addresses before and while a connection is made."""

    def __init__(self, *, allow_private: bool) -> None:
        self._guard = url_guard.URLGuard(allow_private=allow_private)

    def check_url(self, url: str) -> None:
        """Raise SourceUnusable for a URL whose host is known to have a refused address; a network failure is none."""
        host_of(url)
        try:
            self._guard.check_url(url)
        except AddressRefused as refused:
            raise _refusal(refused) from refused

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """httpx's trace extension: the address that was really connected to, before anything is sent to it."""
        try:
            self._guard.trace(event, info)
        except AddressRefused as refused:
            raise _refusal(refused) from refused


def _refusal(refused: AddressRefused) -> SourceUnusable:
    return SourceUnusable(FORBIDDEN, f"{refused}, which a URL may not lead to")
