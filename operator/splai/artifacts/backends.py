"""The store behind the server: a directory, or a bucket, and then with as many servers as one likes.

All of them create an object only if there is none, as the ledger needs it: a file system by its own calls, buckets by
conditional requests (``If-None-Match: *`` on S3, which answers 409 where two meet: that is tried again, here and by
the caller).
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, LocalStore, ObjectStore, S3Store

from splai.api.storage import DEFAULT_S3_REGION, bucket_and_key
from splai.artifacts.disk import MeasureSpace, space_of
from splai.artifacts.settings import MinioSettings, Settings

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig  # exist for type checkers only

# Shorter than a caller waits, who tries again: a request that nobody waits for any more is work for nothing.
_RETRIES: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=15)}


def open_store(settings: Settings) -> tuple[ObjectStore, MeasureSpace | None]:
    """The store, and how to measure its room where it has bounds; raises ValueError for what cannot be opened."""
    if settings.backend == "local":
        return LocalStore(settings.root, mkdir=True), lambda: space_of(settings.root)
    try:
        return _open_bucket(settings), None
    except BaseError as error:  # its words may quote a credential
        raise ValueError(f"the backend {settings.backend} cannot be opened: {type(error).__name__}") from None


def _open_bucket(settings: Settings) -> ObjectStore:
    if settings.minio:
        return _open_minio(settings.minio)
    name, path = bucket_and_key(settings.bucket)
    prefix = path.strip("/")
    if settings.backend == "s3":
        return S3Store(name, prefix=prefix or None, retry_config=_RETRIES, client_options=_client())
    if settings.backend == "gcs":
        return GCSStore(name, prefix=prefix or None, retry_config=_RETRIES, client_options=_client())
    container, _, prefix = prefix.partition("/")
    return AzureStore(
        container, account_name=name, prefix=prefix or None, retry_config=_RETRIES, client_options=_client()
    )


def _open_minio(minio: MinioSettings) -> S3Store:
    return S3Store(
        minio.bucket,
        endpoint=minio.url,
        access_key_id=minio.access_key,
        secret_access_key=minio.secret_key,
        region=DEFAULT_S3_REGION,
        virtual_hosted_style_request=False,
        retry_config=_RETRIES,
        client_options=_client(allow_http=not minio.use_ssl),
    )


def _client(*, allow_http: bool = False) -> "ClientConfig":
    return {"allow_http": allow_http, "connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=60)}
