"""Parquet files of a dataset of the Hugging Face Hub, by its documented HTTP API.

Without a revision the Hub itself lists the files that it converts every dataset to:
``GET /api/datasets/{dataset}/parquet/{config}/{split}``, a list of URLs. With one, the repository's own Parquet files
at that revision are read: ``GET /api/datasets/{dataset}/tree/{revision}?recursive=true`` lists them, and
``/datasets/{dataset}/resolve/{revision}/{path}`` has the bytes. Of those the split's are taken, which lie as the Hub
has them: ``{config}/{split}-00000-of-00002.parquet``, ``{config}/{split}/0000.parquet``, and for the config ``default``
also ``data/`` or the root instead of ``{config}/``.
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import httpx

from splai.api.job_input import HuggingFaceInput
from splai.api.plain_url import plain_url
from splai.inputs.errors import NOT_FOUND, SourceUnavailable, SourceUnusable
from splai.inputs.http import HTTPFile, answered, http_file
from splai.inputs.resume import PATIENCE, Patience, call_again
from splai.inputs.url_guard import URLGuard

_SHARD = re.compile(r"[-_.]\d.*|[-_.]of[-_.].*|")


def dataset_files(
    source: HuggingFaceInput,
    client: httpx.Client,
    guard: URLGuard,
    token: str | None,
    patience: Patience = PATIENCE,
) -> list[HTTPFile]:
    """The files of the split, in the order of their names."""
    hub = _Hub(source, client, guard, token, patience)
    urls = hub.own_files() if source.revision else hub.converted_files()
    if not urls:
        raise SourceUnusable(
            NOT_FOUND, f"{hub.name} has no Parquet file of config {source.config}, split {source.split}"
        )
    return [hub.file(url) for url in urls]


class _Hub:
    def __init__(
        self, source: HuggingFaceInput, client: httpx.Client, guard: URLGuard, token: str | None, patience: Patience
    ) -> None:
        self._source = source
        self._client = client
        self._guard = guard
        self._authorization = f"Bearer {token}" if token else None
        self._patience = patience
        self._base = f"{source.endpoint}/api/datasets/{quote(source.dataset)}"

    @property
    def name(self) -> str:
        return f"{self._source.endpoint}/datasets/{self._source.dataset}"

    def converted_files(self) -> list[str]:
        listed, _ = self._get(f"{self._base}/parquet/{quote(self._source.config)}/{quote(self._source.split)}")
        if not isinstance(listed, list) or not all(isinstance(url, str) for url in listed):
            raise SourceUnavailable(f"{self.name}: the Hub's list of Parquet files is not a list of URLs")
        return listed

    def own_files(self) -> list[str]:
        revision = quote(self._source.revision or "", safe="")
        paths = sorted(path for path in self._tree(revision) if is_of_split(path, self._source))
        return [f"{self.name}/resolve/{revision}/{quote(path)}" for path in paths]

    def file(self, url: str) -> HTTPFile:
        """The token is for the Hub itself, wherever its files are served from."""
        theirs = urlsplit(url)[:2] == urlsplit(self._source.endpoint)[:2]
        authorization = self._authorization if theirs else None
        return http_file(
            self._client, self._guard, url, authorization=authorization, format="parquet", patience=self._patience
        )

    def _tree(self, revision: str) -> Iterator[str]:
        url: str | None = f"{self._base}/tree/{revision}?recursive=true"
        while url:
            entries, url = self._get(url)
            for entry in entries if isinstance(entries, list) else []:
                if isinstance(entry, dict) and entry.get("type") == "file":
                    yield str(entry.get("path"))

    def _get(self, url: str) -> tuple[Any, str | None]:
        """An answer's JSON, and the address of the next page."""
        return call_again(partial(self._get_once, url), self._patience)

    def _get_once(self, url: str) -> tuple[Any, str | None]:
        self._guard.check_url(url)
        headers = {"Authorization": self._authorization} if self._authorization else {}
        try:
            reply = self._client.get(url, headers=headers, extensions={"trace": self._guard.trace})
            if reply.status_code != 200:
                raise answered(plain_url(url), reply)
            following = reply.links.get("next", {}).get("url")
            # A page elsewhere would be given the token.
            nearby = urljoin(url, following) if following else None
            return reply.json(), nearby if nearby and urlsplit(nearby)[:2] == urlsplit(url)[:2] else None
        except httpx.HTTPError as error:
            raise SourceUnavailable(f"{plain_url(url)} cannot be read: {type(error).__name__}") from error
        except ValueError:
            raise SourceUnavailable(f"{plain_url(url)} does not answer JSON") from None


def is_of_split(path: str, source: HuggingFaceInput) -> bool:
    """Whether a file of the repository holds rows of the config's split."""
    if not path.endswith(".parquet"):
        return False
    folders, _, name = path.removesuffix(".parquet").rpartition("/")
    homes = {source.config, "data", ""} if source.config == "default" else {source.config, f"data/{source.config}"}
    if folders in {f"{home}/{source.split}".strip("/") for home in homes}:
        return True
    split, rest = name[: len(source.split)], name[len(source.split) :]
    return folders in homes and split == source.split and _SHARD.fullmatch(rest) is not None
