"""A folder in a bucket of S3, Google Cloud Storage or Azure Blob Storage.

A file is one multipart upload: of the parts that it is made of three are in memory, and it is seen when it is whole. An
upload that fails is aborted; one that was killed is not, and goes by the bucket's lifecycle rule.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store

from splai.api.job_output import AzureOutput, GCSOutput, S3Output
from splai.api.storage import S3_IDENTITIES, bucket_and_key
from splai.outputs.destination import OutputProblem, Produce
from splai.outputs.store_errors import explain

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config  # exist for type checkers only

LEAST_PART: Final = 8 * 1024 * 1024
MOST_PARTS: Final = 9_000  # S3 takes 10,000
PARTS_AT_ONCE: Final = 2
ABORT_SECONDS: Final = 10.0
_AZURE_IDENTITIES: Final = ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_FEDERATED_TOKEN_FILE")
_RETRIES: "RetryConfig" = {"max_retries": 6, "retry_timeout": timedelta(seconds=60)}


class BucketFolder:
    """Files below a prefix."""

    def __init__(self, store: ObjectStore, prefix: str, place: str, *, region: str = "", expected_bytes: int) -> None:
        self._store = store
        self._prefix = prefix
        self._place = place
        self._region = region
        self._part_bytes = max(LEAST_PART, -(-expected_bytes // MOST_PARTS))

    async def write(self, name: str, produce: Produce) -> None:
        cancelled = False

        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in produce():
                if cancelled:
                    raise asyncio.CancelledError
                yield chunk

        upload = asyncio.ensure_future(self._upload(name, chunks()))
        try:
            await asyncio.shield(upload)
        except asyncio.CancelledError:
            cancelled = True  # only a source that fails makes obstore abort an upload
            await asyncio.wait((upload,), timeout=ABORT_SECONDS)
            raise

    async def _upload(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        try:
            await obstore.put_async(
                self._store,
                self._prefix + name,
                chunks,
                use_multipart=True,
                chunk_size=self._part_bytes,
                max_concurrency=PARTS_AT_ONCE,
            )
        except (BaseError, FileNotFoundError) as error:
            raise explain(error, self._place, region=self._region) from None

    async def remove(self, name: str) -> None:
        """Where credentials may write only, a file of an earlier job stays."""
        try:
            await obstore.delete_async(self._store, self._prefix + name)
        except FileNotFoundError:
            return
        except BaseError as error:
            problem = explain(error, self._place, region=self._region)
            if problem.reason != "OutputForbidden":
                raise problem from None


def open_bucket(output: S3Output | GCSOutput | AzureOutput, folder_uri: str, *, expected_bytes: int) -> BucketFolder:
    """The folder; credentials come from the environment. Raises OutputProblem for settings that cannot be.

    Without any a request is not signed: a node's own identity, which the libraries would ask for next, is the machine's
    and not the user's. Of Google's metadata server nobody can tell whose it answers with.
    """
    name, prefix = bucket_and_key(folder_uri)
    try:
        region = output.region_in(os.environ) if isinstance(output, S3Output) else ""
    except ValueError as error:
        raise OutputProblem("OutputInvalid", f"spec.output.{error}") from None
    try:
        if isinstance(output, S3Output):
            store: ObjectStore = _s3(output, name, region)
        elif isinstance(output, GCSOutput):
            store = GCSStore(name, retry_config=_RETRIES, client_options=_client())
        else:
            container, _, prefix = prefix.partition("/")
            store = AzureStore(
                container,
                account_name=name,
                skip_signature=_is_nobody(_AZURE_IDENTITIES),
                retry_config=_RETRIES,
                client_options=_client(),
            )
    except BaseError as error:
        raise explain(error, folder_uri) from None
    if any(segment in ("", ".", "..") for segment in prefix.removesuffix("/").split("/")):
        raise OutputProblem("OutputInvalid", f"{folder_uri}: the path has an empty segment, or . or ..")
    return BucketFolder(store, prefix, folder_uri, region=region, expected_bytes=expected_bytes)


def _s3(output: S3Output, bucket: str, region: str) -> S3Store:
    config: S3Config = {"region": region, "skip_signature": _is_nobody(S3_IDENTITIES)}
    if output.endpoint:  # a service of one's own has no name for every bucket
        config |= {"endpoint": output.endpoint, "virtual_hosted_style_request": False}
    else:
        config |= {"virtual_hosted_style_request": True}
    allow_http = bool(output.endpoint and output.endpoint.startswith("http://"))
    return S3Store(bucket, config=config, retry_config=_RETRIES, client_options=_client(allow_http=allow_http))


def _is_nobody(identities: Iterable[str]) -> bool:
    return not any(os.environ.get(name) for name in identities)


def _client(*, allow_http: bool = False) -> "ClientConfig":
    return {"allow_http": allow_http, "connect_timeout": timedelta(seconds=10), "timeout": timedelta(minutes=5)}
