"""A file behind a URL is read once and whole, or nothing of it counts."""

import gzip
import hashlib

import httpx
import pytest

from splai.api.ledger import InputManifest, Validation
from splai.inputs.errors import SourceUnavailable, SourceUnusable
from splai.inputs.http import HTTPFile, http_file
from splai.inputs.source import Account
from splai.inputs.url_guard import URLGuard
from tests.unit.inputs.file_server import FileServer, Reply, Request, file_server, serve_file
from tests.unit.inputs.reading_site import HASTE, read

CONTENT = b"".join(b'{"text": "question %d"}\n' % number for number in range(5000))


def at(
    web: FileServer,
    client: httpx.Client,
    path: str = "/data/lines.jsonl?token=secret",
    *,
    authorization: str | None = None,
    sha256: str | None = None,
    allow_private: bool = True,
) -> HTTPFile:
    guard = URLGuard(allow_private=allow_private)
    return http_file(client, guard, web.url + path, authorization=authorization, sha256=sha256, patience=HASTE)


def failure(file: HTTPFile) -> tuple[str, str]:
    with pytest.raises(SourceUnusable) as caught:
        list(file.read())
    return caught.value.reason, str(caught.value)


def test_a_file_is_read(web: FileServer, client: httpx.Client) -> None:
    web.answer = serve_file(CONTENT, etag='"v1"')
    account = Account(at(web, client, authorization="Bearer token"))
    assert b"".join(account.blocks) == CONTENT
    identity = account.close()
    assert identity.uri == f"{web.url}/data/lines.jsonl"
    assert (identity.bytes, identity.etag) == (len(CONTENT), '"v1"')
    assert identity.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert web.requests[0].headers["authorization"] == "Bearer token"
    assert web.requests[0].path == "/data/lines.jsonl?token=secret"


@pytest.mark.parametrize("version", [{"etag": '"v1"'}, {"Last-Modified": "Sun, 22 Nov 2026 03:00:00 GMT"}])
def test_a_broken_connection_is_resumed_where_it_broke(
    web: FileServer, client: httpx.Client, version: dict[str, str]
) -> None:
    web.answer = serve_file(CONTENT, breaks_at=50_000, **version)
    assert b"".join(at(web, client).read()) == CONTENT
    assert [request.headers.get("range") for request in web.requests] == [None, "bytes=50000-", "bytes=100000-"]
    assert {request.headers.get("if-range") for request in web.requests} == {None, *version.values()}


def test_a_server_without_ranges_is_read_from_the_beginning_again(web: FileServer, client: httpx.Client) -> None:
    breaks = [70_000, None]
    web.answer = lambda request: Reply(200, CONTENT, {"ETag": '"v1"'}, breaks.pop(0))
    assert b"".join(at(web, client).read()) == CONTENT


def test_a_file_that_is_another_one_after_the_break_has_changed(web: FileServer, client: httpx.Client) -> None:
    answers = [serve_file(CONTENT, etag='"v1"', breaks_at=50_000), serve_file(CONTENT, etag='"v2"')]
    web.answer = lambda request: answers.pop(0)(request)
    assert failure(at(web, client)) == ("InputChanged", f"{web.url}/data/lines.jsonl changed while it was read")


def test_a_range_that_begins_elsewhere_is_not_taken(web: FileServer, client: httpx.Client) -> None:
    def answer(request: Request) -> Reply:
        if "range" not in request.headers:
            return Reply(200, CONTENT, {"ETag": '"v1"'}, 50_000)
        return Reply(206, CONTENT[9:], {"ETag": '"v1"', "Content-Range": f"bytes 9-9/{len(CONTENT)}"})

    web.answer = answer
    assert failure(at(web, client))[0] == "InputChanged"


@pytest.mark.parametrize("etag", [None, 'W/"v1"'])
def test_bytes_of_two_versions_are_never_joined(web: FileServer, client: httpx.Client, etag: str | None) -> None:
    web.answer = serve_file(CONTENT, etag=etag, breaks_at=50_000)
    with pytest.raises(SourceUnavailable, match="has no ETag to read on by"):
        list(at(web, client).read())
    assert len(web.requests) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again(web: FileServer, client: httpx.Client, status: int) -> None:
    answers = [Reply(status), Reply(status), Reply(200, b"a")]
    web.answer = lambda request: answers.pop(0)
    assert list(at(web, client).read()) == [b"a"]


def test_a_server_that_stays_in_trouble_is_left_to_the_next_pod(web: FileServer, client: httpx.Client) -> None:
    web.answer = lambda request: Reply(503, b"secret")
    with pytest.raises(SourceUnavailable) as caught:
        list(at(web, client).read())
    assert str(caught.value) == f"{web.url}/data/lines.jsonl answers 503"
    assert len(web.requests) == 3


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "InputForbidden"),
        (403, "InputForbidden"),
        (404, "InputNotFound"),
        (410, "InputNotFound"),
        (204, "InputNotFound"),
    ],
)
def test_an_answer_that_will_not_change_is_a_verdict(
    web: FileServer, client: httpx.Client, status: int, reason: str
) -> None:
    web.answer = lambda request: Reply(status)
    assert failure(at(web, client))[0] == reason
    assert len(web.requests) == 1


def test_nobody_at_the_address_may_be_there_later(web: FileServer, client: httpx.Client) -> None:
    web.url = "http://127.0.0.1:1"
    with pytest.raises(SourceUnavailable, match="cannot be read: ConnectError"):
        list(at(web, client).read())


def test_a_redirect_is_followed_and_another_host_is_told_no_credentials(web: FileServer, client: httpx.Client) -> None:
    with file_server() as other:
        other.answer = serve_file(CONTENT)
        web.answer = lambda request: Reply(302, headers={"Location": f"{other.url}/signed"})
        file = at(web, client, authorization="Bearer token")
        assert b"".join(file.read()) == CONTENT
        assert "authorization" in web.requests[0].headers
        assert "authorization" not in other.requests[0].headers
        assert file.uri == f"{web.url}/data/lines.jsonl"


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://host/a"])
def test_a_redirect_to_something_else_than_http_is_refused(
    web: FileServer, client: httpx.Client, location: str
) -> None:
    web.answer = lambda request: Reply(302, headers={"Location": location})
    assert failure(at(web, client))[0] == "InputForbidden"


def test_redirects_in_a_circle_end(web: FileServer, client: httpx.Client) -> None:
    web.answer = lambda request: Reply(302, headers={"Location": "/data/lines.jsonl"})
    assert failure(at(web, client)) == ("InputNotFound", f"{web.url}/data/lines.jsonl redirects more than 5 times")


def test_the_machine_itself_is_not_read(web: FileServer, client: httpx.Client) -> None:
    assert failure(at(web, client, allow_private=False))[0] == "InputForbidden"
    assert web.requests == []


def test_a_name_that_is_the_machine_only_when_connected_to_is_not_sent_a_request(
    web: FileServer, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(URLGuard, "check_url", lambda self, url: None)
    assert failure(at(web, client, allow_private=False))[0] == "InputForbidden"
    assert web.requests == []


def test_bytes_are_taken_as_they_are_served(web: FileServer, client: httpx.Client) -> None:
    served = gzip.compress(CONTENT)
    web.answer = lambda request: Reply(200, served, {"Content-Encoding": "gzip"})
    manifest = read(at(web, client, sha256=hashlib.sha256(served).hexdigest()))
    assert isinstance(manifest, InputManifest)
    assert (manifest.records, manifest.sources[0].bytes) == (5000, len(served))


def test_a_file_with_another_checksum_has_changed(web: FileServer, client: httpx.Client) -> None:
    web.answer = serve_file(CONTENT)
    result = read(at(web, client, sha256="0" * 64))
    assert isinstance(result, Validation)
    assert result.reason == "InputChanged"


def test_a_limit_leaves_the_rest_at_the_server(web: FileServer, client: httpx.Client) -> None:
    web.answer = serve_file(CONTENT * 50)
    manifest = read(at(web, client), source={"limit": 5})
    assert isinstance(manifest, InputManifest)
    assert manifest.records == 5
    assert manifest.sources[0].bytes < len(CONTENT) * 50
