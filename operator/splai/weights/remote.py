"""The files of a source of weights: objects of S3, a file behind a URL, a repository of the Hugging Face Hub.

The Hub is the one that ``HF_ENDPOINT`` names, as for Hugging Face's own libraries.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote

import httpx

from splai.api.backend_source import Source, parse_source
from splai.api.job_input import S3Input
from splai.api.plain_url import plain_url
from splai.api.storage import S3Endpoint, bucket_and_key
from splai.inputs.errors import FORBIDDEN, NOT_FOUND, SourceUnusable
from splai.inputs.http import http_file
from splai.inputs.hub import Hub
from splai.inputs.resume import PATIENCE, Patience
from splai.inputs.s3 import Fields, open_bucket, s3_objects
from splai.inputs.source import SourceFile, is_left_out
from splai.inputs.url_guard import URLGuard, allows_private

FIELDS: Final = Fields(place="spec.model", secret="spec.model.credentials")  # noqa: S106 - the name of a field
HUB: Final = "https://huggingface.co"


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file, and what tells this version of it from any other."""

    path: str
    """Below the folder that is filled."""
    file: SourceFile
    version: str | None = None
    """None where only reading it would tell."""
    size: int | None = None
    sha256: str | None = None
    """Of what the bytes must be."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to fetch."""

    source: str
    file: str | None = None
    """What the source, one file, is called in the folder; None: it is a folder itself."""
    sha256: str | None = None
    s3: S3Endpoint = field(default_factory=S3Endpoint)


def remote_files(
    order: Order, environment: Mapping[str, str], client: httpx.Client, patience: Patience = PATIENCE
) -> list[RemoteFile]:
    """Ask the source what there is; raises SourceUnavailable and SourceUnusable."""
    source = parse_source(order.source)
    guard = URLGuard(allow_private=allows_private(environment))
    match source.scheme:
        case "s3":
            return _objects(order, environment, guard, patience)
        case "hf":
            endpoint = environment.get("HF_ENDPOINT", "").rstrip("/") or HUB
            token = _credential(environment, "HF_TOKEN")
            return _repository(order, source, Hub(endpoint, client, guard, token, patience, FIELDS.secret))
        case "http" | "https":
            authorization = _credential(environment, "AUTHORIZATION")
            file = http_file(
                client, guard, order.source, authorization=authorization, patience=patience, secret=FIELDS.secret
            )
            return [RemoteFile(path=order.file or "model", file=file, sha256=order.sha256)]
        case _:
            raise SourceUnusable(FORBIDDEN, f"{order.source} is nothing that can be fetched")


def _objects(order: Order, environment: Mapping[str, str], guard: URLGuard, patience: Patience) -> list[RemoteFile]:
    uri = order.source if order.file else f"{order.source.rstrip('/')}/"
    source = S3Input(uri=uri, endpoint=order.s3.endpoint, region=order.s3.region)
    prefix = bucket_and_key(uri)[1]
    objects = s3_objects(open_bucket(source, environment, guard, FIELDS), uri, patience, FIELDS)
    paths = {it.key: order.file or it.key.removeprefix(prefix) for it in objects}
    for path in paths.values():
        _check_path(path, order.source)
    return [RemoteFile(path=paths[it.key], file=it, version=it.etag, size=it.size) for it in objects]


def _repository(order: Order, source: Source, hub: Hub) -> list[RemoteFile]:
    revision = source.revision or "main"
    listed = {str(entry.get("path")): entry for entry in hub.tree(f"models/{source.place}", revision)}
    for path in listed:
        _check_path(path, order.source)
    if source.path:
        listed = {path: entry for path, entry in listed.items() if path == source.path}
    wanted = {path: entry for path, entry in listed.items() if not any(map(is_left_out, path.split("/")))}
    if not wanted:
        what = source.path or "any file"
        raise SourceUnusable(NOT_FOUND, f"{hub.endpoint}/{source.place} does not have {what} at {revision}")
    base = f"{hub.endpoint}/{quote(source.place)}/resolve/{quote(revision, safe='')}"
    return [_of_hub(hub, order.file or path, f"{base}/{quote(path)}", wanted[path]) for path in sorted(wanted)]


def _of_hub(hub: Hub, path: str, url: str, entry: Mapping[str, Any]) -> RemoteFile:
    """Large files are in Git LFS, whose oid is the sha256 of the contents."""
    lfs = entry.get("lfs")
    oid = lfs.get("oid") if isinstance(lfs, dict) else None
    sha256 = oid.removeprefix("sha256:") if isinstance(oid, str) else None
    size = entry.get("size")
    file = http_file(
        hub.client,
        hub.guard,
        url,
        authorization=hub.authorization_for(url),
        patience=hub.patience,
        secret=hub.secret,
    )
    version = sha256 or entry.get("oid")
    return RemoteFile(
        path=path,
        file=file,
        version=version if isinstance(version, str) else None,
        size=size if isinstance(size, int) else None,
        sha256=sha256,
    )


def _check_path(path: str, source: str) -> None:
    """A name that somebody else has chosen must not leave the folder."""
    if not path or path.startswith("/") or ".." in PurePosixPath(path).parts or "\0" in path:
        message = f"{plain_url(source)} has a file whose name cannot be one in a folder: {path!r}"
        raise SourceUnusable(FORBIDDEN, message)


def _credential(environment: Mapping[str, str], name: str) -> str | None:
    """What goes into a header, without the line feed that files which Secrets are made of like to end with."""
    value = environment.get(name, "").strip()
    if not (value.isascii() and value.isprintable()):
        raise SourceUnusable(FORBIDDEN, f"the value of the key {name} of {FIELDS.secret} cannot be sent in a header")
    return value or None
