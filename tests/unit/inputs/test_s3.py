"""Objects of a bucket: one or all below a prefix, in parts that are all of one version."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import obstore
import pytest
from obstore.exceptions import GenericError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, MemoryStore, ObjectStore

from splai.api.job_input import S3Input
from splai.api.ledger import InputManifest
from splai.inputs import s3
from splai.inputs.errors import SourceUnavailable, SourceUnusable
from splai.inputs.s3 import S3Object, open_bucket, s3_objects
from splai.inputs.source import Account
from splai.inputs.url_guard import URLGuard
from tests.unit.inputs.reading_site import HASTE, MemoryChunks, read


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return MemoryStore() if request.param == "memory" else LocalStore(tmp_path)


def objects(store: ObjectStore, uri: str) -> list[S3Object]:
    return s3_objects(store, uri, HASTE)


def failure(act: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(SourceUnusable) as caught:
        act()
    return caught.value.reason, str(caught.value)


def test_an_object_is_read_in_parts(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", 1000)
    content = bytes(range(256)) * 10
    obstore.put(store, "days/a b.jsonl", content)
    (file,) = objects(store, "s3://bucket/days/a b.jsonl")
    account = Account(file)
    assert [len(block) for block in account.blocks] == [1000, 1000, 560]
    identity = account.close()
    assert (identity.uri, identity.bytes) == ("s3://bucket/days/a b.jsonl", 2560)
    assert identity.etag
    assert b"".join(file.read()) == content
    assert file.name == "a b.jsonl"


def test_all_objects_below_a_prefix_are_read_in_the_order_of_their_keys(store: ObjectStore) -> None:
    left_out = ("days/_SUCCESS", "days/.part.crc", "days/empty", "daysoff")
    for name in ("days/b.jsonl", "days/a/z.jsonl", *left_out):
        obstore.put(store, name, b"" if name.endswith("empty") else b'{"text": "%s"}' % name.encode())
    found = objects(store, "s3://bucket/days/")
    assert [file.uri for file in found] == ["s3://bucket/days/a/z.jsonl", "s3://bucket/days/b.jsonl"]
    chunks = MemoryChunks()
    manifest = read(*found, store=chunks)
    assert isinstance(manifest, InputManifest)
    assert chunks.lines(manifest) == [b'{"text": "days/a/z.jsonl"}', b'{"text": "days/b.jsonl"}']


def test_below_a_prefix_folders_that_are_hidden_are_left_out(store: ObjectStore) -> None:
    for name in ("_delta_log/0.json", "_temporary/0/task/b.jsonl", "a/.tmp/c.jsonl", "_a.jsonl", "a/d.jsonl"):
        obstore.put(store, f"_days/{name}", b"{}")
    assert [file.uri for file in objects(store, "s3://bucket/_days/")] == ["s3://bucket/_days/a/d.jsonl"]


def test_an_empty_object_has_no_blocks(store: ObjectStore) -> None:
    obstore.put(store, "a", b"")
    assert list(objects(store, "s3://bucket/a")[0].read()) == []


@pytest.mark.parametrize(
    ("uri", "want"),
    [
        ("s3://bucket/absent", "s3://bucket/absent does not exist"),
        ("s3://bucket/a//b", "s3://bucket/a//b does not exist"),
        ("s3://bucket/absent/", "there is no object below s3://bucket/absent/"),
    ],
)
def test_what_does_not_exist_is_not_found(store: ObjectStore, uri: str, want: str) -> None:
    assert failure(lambda: objects(store, uri)) == ("InputNotFound", want)


@pytest.mark.parametrize("change", ["write", "remove"])
def test_an_object_that_changes_while_it_is_read_is_told(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", 4)
    obstore.put(store, "a", b"old content")
    (file,) = objects(store, "s3://bucket/a")
    reading = iter(file.read())
    assert next(reading) == b"old "
    if change == "write":
        obstore.put(store, "a", b"new contents")
    else:
        obstore.delete(store, "a")
    reason, message = failure(lambda: list(reading))
    assert reason == "InputChanged"
    assert message.startswith("s3://bucket/a ")


class Failing:
    """obstore's functions, which fail a few times first."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> None:
        self.errors = list(errors)
        for name in ("get", "head", "list"):
            monkeypatch.setattr(obstore, name, self._failing(getattr(obstore, name)))

    def _failing(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def fail(*arguments: Any, **options: Any) -> Any:
            if self.errors:
                raise self.errors.pop()
            return call(*arguments, **options)

        return fail


@pytest.mark.parametrize("uri", ["s3://bucket/d/a", "s3://bucket/d/"])
def test_a_store_in_trouble_is_asked_again(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    store = MemoryStore()
    obstore.put(store, "d/a", b"content")
    failing = Failing(monkeypatch, *[GenericError("busy")] * 2)
    (file,) = objects(store, uri)
    failing.errors = [GenericError("busy")] * 2
    assert b"".join(file.read()) == b"content"


@pytest.mark.parametrize(("status", "want"), [(403, "InputForbidden"), (401, "InputForbidden"), (404, "InputNotFound")])
def test_a_status_that_is_in_the_message_only_is_a_verdict_too(
    monkeypatch: pytest.MonkeyPatch, status: int, want: str
) -> None:
    Failing(
        monkeypatch,
        GenericError(f"Error performing list request: Server returned non-2xx status code: {status} Word: <x>"),
    )
    assert failure(lambda: objects(MemoryStore(), "s3://bucket/a/"))[0] == want


def test_any_other_status_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    Failing(monkeypatch, *[GenericError("Server returned non-2xx status code: 400 Bad Request: secret")] * 9)
    with pytest.raises(SourceUnavailable, match=r"^s3://bucket/a cannot be read: the store answers 400$"):
        objects(MemoryStore(), "s3://bucket/a")


class StoreElsewhere(BaseHTTPRequestHandler):
    """S3 as it answers who asks for a bucket of another region."""

    status = 301
    code = "PermanentRedirect"

    def answer(self) -> None:
        body = b"" if self.command == "HEAD" else f"<Error><Code>{self.code}</Code></Error>".encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = answer  # noqa: N815 - as the server calls them

    def log_message(self, *_: Any) -> None:
        """The test's output is not the place."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), StoreElsewhere) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "code", "key", "want"),
    [
        (301, "PermanentRedirect", "a", ("InputNotFound", "s3://bucket/a is in another region: say which one in")),
        (301, "PermanentRedirect", "a/", ("InputNotFound", "s3://bucket/a/ is in another region: say which one in")),
        (
            400,
            "AuthorizationHeaderMalformed",
            "a/",
            ("InputNotFound", "s3://bucket/a/ is in another region: say which"),
        ),
        (400, "", "a", ("InputForbidden", "s3://bucket/a may not be read: spec.input.s3.region or the credentials")),
    ],
)
def test_a_bucket_of_another_region_is_a_verdict_that_names_the_field(
    elsewhere: str, monkeypatch: pytest.MonkeyPatch, status: int, code: str, key: str, want: tuple[str, str]
) -> None:
    monkeypatch.setattr(StoreElsewhere, "status", status)
    monkeypatch.setattr(StoreElsewhere, "code", code)
    store = open_bucket(S3Input(uri="s3://bucket/a", endpoint=elsewhere), {}, URLGuard(allow_private=True))
    reason, message = failure(lambda: objects(store, f"s3://bucket/{key}"))
    assert (reason, message[: len(want[1])]) == want
    assert "spec.input.s3.region" in message


def test_a_store_that_stays_in_trouble_is_left_to_the_next_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    Failing(monkeypatch, *[GenericError("secret")] * 9)
    with pytest.raises(SourceUnavailable, match=r"^s3://bucket/a cannot be read: GenericError$"):
        objects(MemoryStore(), "s3://bucket/a")


@pytest.mark.parametrize("error", [PermissionDeniedError("secret"), UnauthenticatedError("secret")])
def test_credentials_that_are_refused_are_a_verdict(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    Failing(monkeypatch, error)
    reason, message = failure(lambda: objects(MemoryStore(), "s3://bucket/a"))
    assert reason == "InputForbidden"
    assert "secret" not in message.replace("secretRef", "")


def config(environment: dict[str, str], **fields: Any) -> dict[str, Any]:
    source = S3Input(uri="s3://bucket/a", **fields)
    opened: Any = open_bucket(source, environment, URLGuard(allow_private=False)).config
    return dict(opened)


def test_without_credentials_requests_are_not_signed() -> None:
    assert config({})["skip_signature"] == "true"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        assert config({name: "x"})["skip_signature"] == "false"


def test_half_of_the_credentials_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    reason, message = failure(lambda: config({"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE"}))
    assert (reason, "incomplete" in message, "AKIA" in message) == ("InputForbidden", True, False)


@pytest.mark.parametrize("region", ["x@169.254.169.254/", "a.example.com#", "UPPER"])
def test_a_region_that_would_lead_to_another_host_is_refused(region: str) -> None:
    want = ("InputNotFound", "spec.input.s3.region is not the name of a region")
    assert failure(lambda: config({}, region=region)) == want
    assert failure(lambda: config({"AWS_REGION": region})) == want


def test_the_place_is_that_of_the_spec_and_the_region_by_default_that_of_the_identity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://169.254.169.254")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert config({})["endpoint"] == "https://s3.us-east-1.amazonaws.com"
    assert config({}, region="eu-central-1")["endpoint"] == "https://s3.eu-central-1.amazonaws.com"
    with_identity = {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://169.254.169.254"}
    assert config(with_identity)["endpoint"] == "https://s3.eu-west-1.amazonaws.com"
    assert config(with_identity, region="eu-central-1")["endpoint"] == "https://s3.eu-central-1.amazonaws.com"
    other = config({}, endpoint="http://10.0.0.1:9000", region="here")
    assert (other["endpoint"], other["region"]) == ("http://10.0.0.1:9000", "here")
    assert config(with_identity, endpoint="http://10.0.0.1:9000")["region"] == "us-east-1"


def test_an_endpoint_that_is_the_machine_is_refused() -> None:
    assert failure(lambda: config({}, endpoint="http://169.254.169.254"))[0] == "InputForbidden"
