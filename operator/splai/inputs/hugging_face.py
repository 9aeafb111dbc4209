"""Parquet files of a dataset of the Hugging Face Hub, by its documented HTTP API.

Without a revision the Hub itself lists the files that it converts every dataset to:
``GET /api/datasets/{dataset}/parquet/{config}/{split}``, a list of URLs. With one, the repository's own Parquet files
at that revision are read: ``GET /api/datasets/{dataset}/tree/{revision}?recursive=true`` lists them, and
``/datasets/{dataset}/resolve/{revision}/{path}`` has the bytes. Of those the split's are taken, which lie as the Hub
has them: ``{config}/{split}-00000-of-00002.parquet``, ``{config}/{split}/0000.parquet``, and for the config ``default``
also ``data/`` or the root instead of ``{config}/``.
"""

import re
from urllib.parse import quote

import httpx

from splai.api.job_input import HuggingFaceInput
from splai.inputs.errors import NOT_FOUND, SourceUnavailable, SourceUnusable
from splai.inputs.http import HTTPFile, http_file
from splai.inputs.hub import Hub
from splai.inputs.resume import PATIENCE, Patience
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
    hub = Hub(source.endpoint, client, guard, token, patience)
    name = f"{source.endpoint}/datasets/{source.dataset}"
    urls = _own_files(hub, source, name) if source.revision else _converted_files(hub, source, name)
    if not urls:
        raise SourceUnusable(NOT_FOUND, f"{name} has no Parquet file of config {source.config}, split {source.split}")
    return [
        http_file(client, guard, url, authorization=hub.authorization_for(url), format="parquet", patience=patience)
        for url in urls
    ]


def _converted_files(hub: Hub, source: HuggingFaceInput, name: str) -> list[str]:
    listed = hub.get(f"/api/datasets/{quote(source.dataset)}/parquet/{quote(source.config)}/{quote(source.split)}")
    if not isinstance(listed, list) or not all(isinstance(url, str) for url in listed):
        raise SourceUnavailable(f"{name}: the Hub's list of Parquet files is not a list of URLs")
    return listed


def _own_files(hub: Hub, source: HuggingFaceInput, name: str) -> list[str]:
    revision = source.revision or ""
    listed = (str(entry.get("path")) for entry in hub.tree(f"datasets/{source.dataset}", revision))
    paths = sorted(path for path in listed if is_of_split(path, source))
    return [f"{name}/resolve/{quote(revision, safe='')}/{quote(path)}" for path in paths]


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
