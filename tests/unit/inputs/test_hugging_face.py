"""Datasets as the Hub's documented API has them, from a Hub of our own."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from splai.api.job_input import HuggingFaceInput
from splai.api.ledger import InputManifest
from splai.inputs.errors import SourceUnavailable, SourceUnusable
from splai.inputs.http import HTTPFile
from splai.inputs.hugging_face import dataset_files, is_of_split
from splai.inputs.url_guard import URLGuard
from tests.unit.inputs.file_server import FileServer, Reply, Request, file_server
from tests.unit.inputs.reading_site import HASTE, MemoryChunks, read

DATASET = "team/questions"


def table(*texts: str) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"text": list(texts)}), file)
    return file.getvalue()


@dataclass
class Hub:
    """Speaks the part of the API that is used; ``files`` are those of the revision, ``converted`` the Hub's own."""

    web: FileServer
    storage: FileServer
    files: dict[str, bytes] = field(default_factory=dict)
    converted: list[bytes] = field(default_factory=list)
    token: str | None = None
    page: int = 2

    def answer(self, request: Request) -> Reply:
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return Reply(401)
        path, _, query = request.path.partition("?")
        match path.removeprefix("/").split("/"):
            case ["api", "datasets", "team", "questions", "parquet", "default", "train"]:
                urls = [f"{self.web.url}{path}/{number}.parquet" for number in range(len(self.converted))]
                return Reply(200, json.dumps(urls).encode())
            case ["api", "datasets", "team", "questions", "parquet", "default", "train", name]:
                return Reply(302, headers={"Location": f"{self.storage.url}/{name}?signature=s"})
            case ["api", "datasets", "team", "questions", "tree", revision] if unquote(revision) == "refs/pr/1":
                return self._tree(path, query)
            case ["datasets", "team", "questions", "resolve", revision, *parts] if unquote(revision) == "refs/pr/1":
                return Reply(200, self.files[unquote("/".join(parts))], {"ETag": '"e"'})
            case _:
                return Reply(404, b'{"error": "not found"}')

    def _tree(self, path: str, query: str) -> Reply:
        assert "recursive=true" in query
        start = int(query.partition("cursor=")[2] or 0)
        entries: list[dict[str, Any]] = [{"type": "directory", "path": "data"}]
        entries += [{"type": "file", "path": name, "size": len(data)} for name, data in self.files.items()]
        headers = {}
        if start + self.page < len(entries):
            following = f"{self.web.url}{path}?recursive=true&cursor={start + self.page}"
            headers["Link"] = f'<{following}>; rel="next"'
        return Reply(200, json.dumps(entries[start : start + self.page]).encode(), headers)

    def store(self, request: Request) -> Reply:
        assert "authorization" not in request.headers, "the token is the Hub's alone"
        return Reply(200, self.converted[int(request.path[1:].partition(".")[0])], {"ETag": '"e"'})


@pytest.fixture
def hub(web: FileServer) -> Iterator[Hub]:
    with file_server() as storage:
        hub = Hub(web, storage)
        web.answer, storage.answer = hub.answer, hub.store
        yield hub


def files(hub: Hub, client: httpx.Client, *, token: str | None = None, **fields: Any) -> list[HTTPFile]:
    source = HuggingFaceInput.model_validate({"dataset": DATASET, "endpoint": hub.web.url, **fields})
    return dataset_files(source, client, URLGuard(allow_private=True), token, HASTE)


def texts(found: list[HTTPFile]) -> list[str]:
    store = MemoryChunks()
    manifest = read(*found, store=store)
    assert isinstance(manifest, InputManifest), manifest
    return [json.loads(line)["text"] for line in store.lines(manifest)]


@pytest.mark.parametrize("token", [None, "hf_token"])
def test_the_hubs_converted_files_are_read(hub: Hub, client: httpx.Client, token: str | None) -> None:
    hub.token, hub.converted = token, [table("a", "b"), table("c")]
    found = files(hub, client, token=token)
    assert texts(found) == ["a", "b", "c"]
    assert found[0].uri == f"{hub.web.url}/api/datasets/{DATASET}/parquet/default/train/0.parquet"


def test_the_files_of_a_revision_are_read_in_the_order_of_their_names(hub: Hub, client: httpx.Client) -> None:
    hub.token = "hf_token"
    hub.files = {
        "README.md": b"",
        "data/train-00001-of-00002.parquet": table("b"),
        "data/train-00000-of-00002.parquet": table("a"),
        "data/test-00000-of-00001.parquet": table("t"),
        "data/training.parquet": table("u"),
        "other/train.parquet": table("v"),
    }
    found = files(hub, client, token="hf_token", revision="refs/pr/1")
    assert texts(found) == ["a", "b"]
    assert found[0].uri == f"{hub.web.url}/datasets/{DATASET}/resolve/refs%2Fpr%2F1/data/train-00000-of-00002.parquet"


def test_a_page_that_lies_elsewhere_is_not_fetched_with_the_token(hub: Hub, client: httpx.Client) -> None:
    hub.files = {"data/train.parquet": table("a")}
    tree = hub.answer

    def answer(request: Request) -> Reply:
        reply = tree(request)
        if "/tree/" in request.path:
            reply.headers["Link"] = f'<{hub.storage.url}/next>; rel="next"'
        return reply

    hub.web.answer = answer
    assert len(files(hub, client, revision="refs/pr/1")) == 1
    assert hub.storage.requests == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"dataset": "team/absent"}, "InputNotFound"),
        ({"split": "validation"}, "InputNotFound"),
        ({"revision": "refs/pr/1"}, "InputNotFound"),
        ({"revision": "absent"}, "InputNotFound"),
    ],
)
def test_what_the_hub_does_not_have_is_not_found(
    hub: Hub, client: httpx.Client, fields: dict[str, str], reason: str
) -> None:
    hub.files = {"README.md": b""}
    with pytest.raises(SourceUnusable) as caught:
        files(hub, client, **fields)
    assert caught.value.reason == reason


@pytest.mark.parametrize("token", [None, "another"])
def test_a_dataset_that_wants_another_token_is_forbidden(hub: Hub, client: httpx.Client, token: str | None) -> None:
    hub.token = "hf_token"
    with pytest.raises(SourceUnusable) as caught:
        files(hub, client, token=token)
    assert caught.value.reason == "InputForbidden"
    assert "another" not in str(caught.value)


@pytest.mark.parametrize("body", [b"<html>", b'{"urls": []}', b"[1]"])
def test_an_answer_that_is_not_the_apis_may_be_a_proxys(hub: Hub, client: httpx.Client, body: bytes) -> None:
    hub.web.answer = lambda request: Reply(200, body)
    with pytest.raises(SourceUnavailable):
        files(hub, client)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_hub_is_asked_again(hub: Hub, client: httpx.Client, status: int) -> None:
    hub.converted = [table("a")]
    busy = [Reply(status), Reply(status)]
    hub.web.answer = lambda request: busy.pop() if busy else hub.answer(request)
    assert texts(files(hub, client)) == ["a"]


@pytest.mark.parametrize(
    ("path", "config", "want"),
    [
        ("train.parquet", "default", True),
        ("train-00000-of-00002.parquet", "default", True),
        ("data/train-00000-of-00002-0123abcd.parquet", "default", True),
        ("data/train_0.parquet", "default", True),
        ("data/train/0000.parquet", "default", True),
        ("default/train/0000.parquet", "default", True),
        ("train/part.parquet", "default", True),
        ("en/train-00000-of-00001.parquet", "en", True),
        ("en/train/0000.parquet", "en", True),
        ("data/en/train-0.parquet", "en", True),
        ("data/train-00000-of-00001.parquet", "en", False),
        ("en/train-00000-of-00001.parquet", "default", False),
        ("data/train_extra-00000-of-00001.parquet", "default", False),
        ("data/trainer.parquet", "default", False),
        ("data/train.csv", "default", False),
        ("old/data/train.parquet", "default", False),
    ],
)
def test_a_file_belongs_to_a_split_by_its_place_and_name(path: str, config: str, want: bool) -> None:
    source = HuggingFaceInput(dataset=DATASET, config=config, revision="main")
    assert is_of_split(path, source) is want
