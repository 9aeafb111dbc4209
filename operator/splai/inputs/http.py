"""A file behind a URL: streamed, and read on where a connection broke as long as it is the same file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httpx

from splai.api.job_input import InputFormat
from splai.api.plain_url import plain_url
from splai.inputs.errors import CHANGED, FORBIDDEN, NOT_FOUND, SourceUnavailable, SourceUnusable
from splai.inputs.resume import PATIENCE, Patience, read_resumed
from splai.inputs.source import SourceFile
from splai.inputs.url_guard import URLGuard, host_of
from splai.resilience.retry import seconds_of

MOST_REDIRECTS: Final = 5
SECRET: Final = "secretRef"  # noqa: S105 - the name of a field
_TIMEOUT = httpx.Timeout(connect=10, read=60, write=30, pool=10)
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-")
_PASSING: Final = frozenset({408, 425, 429})


def new_client() -> httpx.Client:
    """A client for URLs of users; it follows redirects, and tells another host no credentials."""
    return httpx.Client(
        timeout=_TIMEOUT,
        follow_redirects=True,
        max_redirects=MOST_REDIRECTS,
        headers={"Accept-Encoding": "identity", "User-Agent": "splai"},  # checksums and ranges are of bytes as served
        trust_env=True,  # a proxy and certificates of the pod's environment
    )


@dataclass(kw_only=True)
class HTTPFile(SourceFile):
    """What a URL gives; its version is its ETag, or when it was changed."""

    client: httpx.Client
    guard: URLGuard
    url: str = field(repr=False)  # its query may hold a token
    authorization: str | None = field(default=None, repr=False)
    patience: Patience = PATIENCE
    secret: str = SECRET
    """The field that names the credentials' Secret."""
    validator: str | None = field(default=None, init=False)

    def read(self) -> Iterator[bytes]:
        return read_resumed(self._open_at, self.patience)

    def _open_at(self, offset: int) -> Iterator[bytes]:
        if offset and self.validator is None:
            # Bytes of two versions cannot be told apart: the pod ends, and all is read anew.
            raise SourceUnavailable(f"{self.uri} broke off, and has no ETag to read on by", passes=False)
        self.guard.check_url(self.url)
        try:
            with self.client.stream(
                "GET", self.url, headers=self._headers(offset), extensions={"trace": self.guard.trace}
            ) as reply:
                skip = self._begin(reply, offset)
                for block in reply.iter_raw():
                    if skip < len(block):
                        yield block[skip:]
                    skip = max(0, skip - len(block))
        except (httpx.InvalidURL, UnicodeError):  # the latter for a name that no host can have
            raise SourceUnusable(NOT_FOUND, f"{self.uri} is not a valid URL") from None
        except httpx.UnsupportedProtocol:
            raise SourceUnusable(FORBIDDEN, f"{self.uri} redirects to something else than http or https") from None
        except httpx.TooManyRedirects:
            raise SourceUnusable(NOT_FOUND, f"{self.uri} redirects more than {MOST_REDIRECTS} times") from None
        except httpx.TransportError as error:
            raise SourceUnavailable(f"{self.uri} cannot be read: {type(error).__name__}") from error

    def _headers(self, offset: int) -> dict[str, str]:
        headers = {"Authorization": self.authorization} if self.authorization else {}
        if offset and self.validator is not None:
            headers |= {"Range": f"bytes={offset}-", "If-Range": self.validator}
        return headers

    def _begin(self, reply: httpx.Response, offset: int) -> int:
        """Look at the head of an answer; how many of its bytes were read already."""
        if reply.status_code not in (200, 206) or (reply.status_code == 206 and not offset):
            raise answered(self.uri, reply, self.secret)
        validator = _validator(reply)
        if offset == 0:
            self.validator = validator
            self.etag = reply.headers.get("ETag") or validator
            return 0
        if validator != self.validator or (reply.status_code == 206 and _start(reply) != offset):
            raise SourceUnusable(CHANGED, f"{self.uri} changed while it was read")
        return offset if reply.status_code == 200 else 0


def http_file(
    client: httpx.Client,
    guard: URLGuard,
    url: str,
    *,
    authorization: str | None = None,
    format: InputFormat = "auto",  # noqa: A002 - as the field is called
    sha256: str | None = None,
    patience: Patience = PATIENCE,
    secret: str = SECRET,
) -> HTTPFile:
    """The file behind a URL; ``authorization`` is the header's value. Raises SourceUnusable for what is no URL."""
    host_of(url)
    return HTTPFile(
        uri=plain_url(url),
        name=urlsplit(url).path.rpartition("/")[2],
        format=format,
        wanted_sha256=sha256,
        client=client,
        guard=guard,
        url=url,
        authorization=authorization,
        patience=patience,
        secret=secret,
    )


def answered(uri: str, reply: httpx.Response, secret: str = SECRET) -> SourceUnavailable | SourceUnusable:
    """What an answer without the wanted bytes means."""
    status = reply.status_code
    if status in _PASSING or status >= 500:
        return SourceUnavailable(
            f"{uri} answers {status}", retry_after=seconds_of(reply.headers.get("Retry-After")) or 0.0
        )
    if status in (401, 403):
        return SourceUnusable(FORBIDDEN, f"{uri} answers {status}: the credentials of {secret} are missing or refused")
    if status == 416:
        return SourceUnusable(CHANGED, f"{uri} changed while it was read")
    return SourceUnusable(NOT_FOUND, f"{uri} answers {status}")


def _validator(reply: httpx.Response) -> str | None:
    """What tells this version of the file byte by byte from any other: a strong ETag, or when it was changed."""
    etag: str = reply.headers.get("ETag", "")
    changed: str | None = reply.headers.get("Last-Modified")
    return etag if etag.startswith('"') else changed


def _start(reply: httpx.Response) -> int | None:
    """Where the bytes of a part begin."""
    found = _CONTENT_RANGE.match(reply.headers.get("Content-Range", ""))
    return int(found[1]) if found else None
