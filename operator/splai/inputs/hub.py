"""The Hugging Face Hub, by its documented HTTP API: lists in pages, and files by their address."""

from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import httpx

from splai.api.plain_url import plain_url
from splai.inputs.errors import SourceUnavailable
from splai.inputs.http import SECRET, answered
from splai.inputs.resume import PATIENCE, Patience, call_again
from splai.inputs.url_guard import URLGuard


class Hub:
    """The Hub or a mirror of it, and as whom it is asked."""

    def __init__(
        self,
        endpoint: str,
        client: httpx.Client,
        guard: URLGuard,
        token: str | None,
        patience: Patience = PATIENCE,
        secret: str = SECRET,
    ) -> None:
        """``secret`` is the field that names the token's Secret."""
        self.endpoint = endpoint
        self.client = client
        self.guard = guard
        self.patience = patience
        self.secret = secret
        self._authorization = f"Bearer {token}" if token else None

    def get(self, path: str) -> Any:
        """The JSON of a path below the endpoint; raises SourceUnavailable and SourceUnusable."""
        return self._page(f"{self.endpoint}{path}")[0]

    def tree(self, repository: str, revision: str) -> Iterator[dict[str, Any]]:
        """The files of ``models/owner/name`` or ``datasets/owner/name``: path, size, oid, and lfs with a file's oid."""
        url: str | None = f"{self.endpoint}/api/{quote(repository)}/tree/{quote(revision, safe='')}?recursive=true"
        while url:
            entries, url = self._page(url)
            for entry in entries if isinstance(entries, list) else []:
                if isinstance(entry, dict) and entry.get("type") == "file":
                    yield entry

    def authorization_for(self, url: str) -> str | None:
        """The token is for the Hub itself, wherever its files are served from."""
        return self._authorization if urlsplit(url)[:2] == urlsplit(self.endpoint)[:2] else None

    def _page(self, url: str) -> tuple[Any, str | None]:
        """An answer's JSON, and the address of the next page."""
        return call_again(partial(self._page_once, url), self.patience)

    def _page_once(self, url: str) -> tuple[Any, str | None]:
        self.guard.check_url(url)
        headers = {"Authorization": self._authorization} if self._authorization else {}
        try:
            reply = self.client.get(url, headers=headers, extensions={"trace": self.guard.trace})
            if reply.status_code != 200:
                raise answered(plain_url(url), reply, self.secret)
            following = reply.links.get("next", {}).get("url")
            # A page elsewhere would be given the token.
            nearby = urljoin(url, following) if following else None
            return reply.json(), nearby if nearby and urlsplit(nearby)[:2] == urlsplit(url)[:2] else None
        except httpx.HTTPError as error:
            raise SourceUnavailable(f"{plain_url(url)} cannot be read: {type(error).__name__}") from error
        except ValueError:
            raise SourceUnavailable(f"{plain_url(url)} does not answer JSON") from None
