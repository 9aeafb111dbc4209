"""Objects of any S3 API, read in parts that each say which version of the object they want."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import obstore
from obstore.exceptions import (
    BaseError,
    GenericError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import ObjectStore, S3Store

from splai.api.job_input import S3Input
from splai.api.storage import S3_IDENTITIES, bucket_and_key
from splai.inputs.errors import CHANGED, FORBIDDEN, NOT_FOUND, SourceUnavailable, SourceUnusable
from splai.inputs.resume import PATIENCE, Patience, call_again
from splai.inputs.source import SourceFile, is_left_out
from splai.inputs.url_guard import URLGuard

PART_BYTES: Final = 4 * 1024 * 1024
_STATUS: Final = re.compile(r"\bstatus code: (\d{3}) ")
# obstore keeps what it knows of a store's answer in words only. A region is asked for in the signature and in the
# host's name: a store answers a request for another one with a redirect to nowhere, or with one of these codes.
_OTHER_REGION: Final = re.compile(
    r"Received redirect without LOCATION"
    r"|<Code>(AuthorizationHeaderMalformed|IllegalLocationConstraintException|PermanentRedirect)</Code>"
)
_WORDLESS_REFUSAL: Final = re.compile(r"\bstatus code: 400 Bad Request: *(\n|$)")


@dataclass(frozen=True)
class Fields:
    """What the fields of the spec are called that are to blame."""

    place: str = "spec.input"
    """That ``s3.region`` is in."""
    secret: str = "secretRef"  # noqa: S105 - the name of a field


INPUT: Final = Fields()


@dataclass(kw_only=True)
class S3Object(SourceFile):
    """One object."""

    store: ObjectStore
    key: str
    size: int
    patience: Patience = PATIENCE
    fields: Fields = INPUT

    def read(self) -> Iterator[bytes]:
        for start in range(0, self.size, PART_BYTES):
            yield call_again(lambda start=start: self._part(start), self.patience)  # type: ignore[misc]

    def _part(self, start: int) -> bytes:
        end = min(self.size, start + PART_BYTES)
        options: Any = {"range": (start, end)} | ({"if_match": self.etag} if self.etag else {})
        try:
            part = bytes(obstore.get(self.store, self.key, options=options).bytes())
        except FileNotFoundError:
            raise SourceUnusable(CHANGED, f"{self.uri} was removed while it was read") from None
        except BaseError as error:
            raise _explained(error, self.uri, self.fields) from error
        if len(part) != end - start:
            raise SourceUnusable(CHANGED, f"{self.uri} changed while it was read")
        return part


def open_bucket(source: S3Input, environment: Mapping[str, str], guard: URLGuard, fields: Fields = INPUT) -> S3Store:
    """A client with the credentials of the environment, which obstore reads; without any the bucket must be public.

    Raises SourceUnusable for half of them. A node's own identity is not used: it is the machine's and not the user's.
    """
    if source.endpoint:
        guard.check_url(source.endpoint)
    try:
        region = source.region_in(environment)
    except ValueError as error:
        raise SourceUnusable(NOT_FOUND, f"{fields.place}.{error}") from None
    try:
        return S3Store(
            bucket_and_key(source.uri)[0],
            endpoint=source.endpoint or f"https://s3.{region}.amazonaws.com",
            region=region,
            virtual_hosted_style_request=False,
            skip_signature=not any(environment.get(name) for name in S3_IDENTITIES),
            client_options={"allow_http": True, "timeout": "120s", "connect_timeout": "10s"},
            retry_config={"max_retries": 2},
        )
    except BaseError:  # its words may quote a credential
        raise SourceUnusable(
            FORBIDDEN, f"{source.uri} may not be read: the credentials are incomplete, see {fields.secret}"
        ) from None


def s3_objects(store: ObjectStore, uri: str, patience: Patience = PATIENCE, fields: Fields = INPUT) -> list[S3Object]:
    """The object, or with a slash at the end of the URI all objects below it in the order of their keys."""
    bucket, key = bucket_and_key(uri)
    if not key.endswith("/"):
        head = call_again(lambda: _head(store, key, uri, fields), patience)
        return [_object(store, bucket, head, patience, fields)]
    found = [
        _object(store, bucket, entry, patience, fields)
        for entry in call_again(lambda: _list(store, key, uri, fields), patience)
        if entry["size"] and not any(map(is_left_out, entry["path"].removeprefix(key).split("/")))
    ]
    if not found:
        raise SourceUnusable(NOT_FOUND, f"there is no object below {uri}")
    return sorted(found, key=lambda it: it.key)


def _object(store: ObjectStore, bucket: str, entry: Any, patience: Patience, fields: Fields) -> S3Object:
    key = entry["path"]
    return S3Object(
        uri=f"s3://{bucket}/{key}",
        name=key.rpartition("/")[2],
        etag=entry["e_tag"],
        store=store,
        key=key,
        size=entry["size"],
        patience=patience,
        fields=fields,
    )


def _head(store: ObjectStore, key: str, uri: str, fields: Fields) -> Any:
    try:
        return obstore.head(store, key)
    except (BaseError, FileNotFoundError, ValueError) as error:
        raise _explained(error, uri, fields) from error


def _list(store: ObjectStore, prefix: str, uri: str, fields: Fields) -> list[Any]:
    try:
        return [entry for page in obstore.list(store, prefix) for entry in page]
    except (BaseError, FileNotFoundError, ValueError) as error:
        raise _explained(error, uri, fields) from error


def _explained(error: BaseException, uri: str, fields: Fields) -> SourceUnavailable | SourceUnusable:
    status = _STATUS.search(str(error))  # obstore keeps that of a failed list in its message only
    if _OTHER_REGION.search(str(error)):
        return SourceUnusable(NOT_FOUND, f"{uri} is in another region: say which one in {fields.place}.s3.region")
    if _WORDLESS_REFUSAL.search(str(error)):  # to a HEAD, which may say no more
        return SourceUnusable(
            FORBIDDEN,
            f"{uri} may not be read: {fields.place}.s3.region or the credentials of {fields.secret} are wrong",
        )
    match error, int(status[1]) if status else 0:
        # A ValueError is a key that no object can have.
        case (FileNotFoundError() | ValueError(), _) | (GenericError(), 404):
            return SourceUnusable(NOT_FOUND, f"{uri} does not exist")
        case (PermissionDeniedError() | UnauthenticatedError(), _) | (GenericError(), 401 | 403):
            return SourceUnusable(
                FORBIDDEN, f"{uri} may not be read: credentials are missing or refused, see {fields.secret}"
            )
        case (PreconditionError(), _):
            return SourceUnusable(CHANGED, f"{uri} changed while it was read")
        case (_, 0):
            return SourceUnavailable(f"{uri} cannot be read: {type(error).__name__}")
        case (_, code):
            return SourceUnavailable(f"{uri} cannot be read: the store answers {code}")
