"""`splai model fetch` against web servers of ours: files behind URLs, and a Hub that speaks the documented API."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pytest

from splai.weights.command import fetch
from splai.weights.remote import Order
from tests.unit.inputs.file_server import FileServer, Reply, Request, file_server, serve_file
from tests.unit.inputs.reading_site import HASTE

GGUF = b"GGUF" + bytes(range(256)) * 40
ALLOWED = {"SPLAI_ALLOW_PRIVATE_URLS": "true"}  # the servers are on loopback


@pytest.fixture
def web() -> Iterator[FileServer]:
    with file_server() as server:
        yield server


Fetch = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path) -> Fetch:
    """The exit code, and the termination message."""

    def run(order: Order, environment: dict[str, str] | None = None) -> tuple[int, str]:
        log = tmp_path / "termination-log"
        log.write_text("")
        variables = ALLOWED if environment is None else environment
        code = fetch(order, tmp_path / "weights", variables, patience=HASTE, termination_log=log)
        return code, log.read_text()

    return run


def found(tmp_path: Path) -> dict[str, bytes]:
    folder = tmp_path / "weights"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestURL:
    def test_a_file_is_called_as_the_engine_expects(self, web: FileServer, run: Fetch, tmp_path: Path) -> None:
        web.answer = serve_file(GGUF, etag='"1"')
        order = Order(source=f"{web.url}/m.gguf?token=t", file="m.gguf", sha256=hashlib.sha256(GGUF).hexdigest())

        assert run(order) == (0, "")
        assert found(tmp_path) == {"m.gguf": GGUF}

    def test_broken_connections_are_gone_on_with(self, web: FileServer, run: Fetch, tmp_path: Path) -> None:
        web.answer = serve_file(GGUF, etag='"1"', breaks_at=4000)

        assert run(Order(source=f"{web.url}/m.gguf", file="m.gguf")) == (0, "")
        assert found(tmp_path) == {"m.gguf": GGUF}
        assert [request.headers.get("range") for request in web.requests] == [None, "bytes=4000-", "bytes=8000-"]

    def test_a_wrong_checksum_leaves_nothing(self, web: FileServer, run: Fetch, tmp_path: Path) -> None:
        web.answer = serve_file(GGUF, etag='"1"')

        code, message = run(Order(source=f"{web.url}/m.gguf?token=t", file="m.gguf", sha256="0" * 64))

        assert (code, found(tmp_path)) == (1, {})
        assert message.startswith(f"{web.url}/m.gguf has the sha256 {hashlib.sha256(GGUF).hexdigest()} and not 000")

    def test_the_header_of_the_secret_is_sent(self, web: FileServer, run: Fetch) -> None:
        web.answer = serve_file(GGUF)

        run(Order(source=f"{web.url}/m.gguf", file="m.gguf"), {**ALLOWED, "AUTHORIZATION": "Bearer key\n"})

        assert web.requests[0].headers["authorization"] == "Bearer key"

    def test_a_refusal_names_the_field_with_the_credentials(self, web: FileServer, run: Fetch) -> None:
        web.answer = lambda _: Reply(403)

        code, message = run(Order(source=f"{web.url}/m.gguf?token=t", file="m.gguf"))

        assert code == 1
        wanted = f"{web.url}/m.gguf answers 403: the credentials of spec.model.credentials are missing or refused"
        assert message == wanted

    def test_addresses_of_the_node_itself_are_refused(self, web: FileServer, run: Fetch) -> None:
        web.answer = serve_file(GGUF)

        code, message = run(Order(source=f"{web.url}/m.gguf", file="m.gguf"), {})

        assert (code, web.requests) == (1, [])
        assert "which a URL may not lead to" in message


def test_a_volume_that_cannot_be_written_is_named(web: FileServer, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file in the way")
    log = tmp_path / "log"

    code = fetch(Order(source=web.url, file="m"), tmp_path / "weights" / "abc", ALLOWED, termination_log=log)

    assert (code, log.read_text()) == (1, f"{web.url} cannot be kept: File exists")


@dataclass
class Hub:
    """The part of the API that is used, for one model at one revision."""

    files: dict[str, bytes] = field(default_factory=dict)
    token: str | None = None
    lfs: bool = True

    def answer(self, request: Request) -> Reply:
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return Reply(401)
        match request.path.partition("?")[0].removeprefix("/").split("/"):
            case ["api", "models", "team", "model", "tree", "v1"]:
                return Reply(200, json.dumps([self._entry(*file) for file in self.files.items()]).encode())
            case ["team", "model", "resolve", "v1", *parts]:
                content = self.files[unquote("/".join(parts))]
                return Reply(200, content, {"ETag": f'"{hashlib.md5(content).hexdigest()}"'})  # noqa: S324 - as a tag
            case _:
                return Reply(404)

    def _entry(self, path: str, content: bytes) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        lfs = {"lfs": {"oid": digest if self.lfs else "0" * 64, "size": len(content)}}
        large = path.endswith((".gguf", ".safetensors"))
        return {"type": "file", "path": path, "size": len(content), "oid": "git-oid", **(lfs if large else {})}


FILES = {".gitattributes": b"x", "adapter_config.json": b"{}", "sub/adapter_model.safetensors": b"weights"}


class TestHub:
    @pytest.fixture
    def hub(self, web: FileServer) -> Hub:
        hub = Hub(dict(FILES))
        web.answer = hub.answer
        return hub

    def at(self, web: FileServer, **variables: str) -> dict[str, str]:
        return {**ALLOWED, "HF_ENDPOINT": web.url, **variables}

    def test_a_repository_is_a_folder(self, hub: Hub, web: FileServer, run: Fetch, tmp_path: Path) -> None:
        assert run(Order(source="hf://team/model@v1"), self.at(web)) == (0, "")
        assert found(tmp_path) == {path: content for path, content in hub.files.items() if path[0] != "."}

    def test_one_file_of_a_repository(self, hub: Hub, web: FileServer, run: Fetch, tmp_path: Path) -> None:
        hub.files["q4/m.gguf"] = GGUF

        assert run(Order(source="hf://team/model@v1/q4/m.gguf", file="m.gguf"), self.at(web)) == (0, "")
        assert found(tmp_path) == {"m.gguf": GGUF}

    def test_the_token_is_sent_to_the_hub(self, hub: Hub, web: FileServer, run: Fetch) -> None:
        hub.token = "secret"

        assert run(Order(source="hf://team/model@v1"), self.at(web, HF_TOKEN="secret")) == (0, "")

    def test_a_gated_model_without_a_token(self, hub: Hub, web: FileServer, run: Fetch) -> None:
        hub.token = "secret"

        code, message = run(Order(source="hf://team/model@v1"), self.at(web))

        assert code == 1
        assert message.endswith("answers 401: the credentials of spec.model.credentials are missing or refused")

    def test_contents_that_are_not_those_of_the_revision_are_refused(
        self, hub: Hub, web: FileServer, run: Fetch, tmp_path: Path
    ) -> None:
        hub.lfs = False

        code, message = run(Order(source="hf://team/model@v1"), self.at(web))

        assert (code, found(tmp_path)) == (1, {})
        assert "adapter_model.safetensors has the sha256" in message

    @pytest.mark.parametrize(
        ("source", "words"),
        [
            ("hf://team/model@v1/none.gguf", "does not have none.gguf at v1"),
            ("hf://team/model@v2", "answers 404"),
            ("pvc://claim/path", "is nothing that can be fetched"),
        ],
    )
    def test_what_is_not_there_is_said(self, hub: Hub, web: FileServer, run: Fetch, source: str, words: str) -> None:
        code, message = run(Order(source=source), self.at(web))

        assert code == 1
        assert words in message

    @pytest.mark.parametrize("path", ["../outside", "a/../../outside", "/etc/passwd"])
    def test_a_name_does_not_lead_out_of_the_folder(
        self, hub: Hub, web: FileServer, run: Fetch, tmp_path: Path, path: str
    ) -> None:
        hub.files[path] = b"x"

        code, message = run(Order(source="hf://team/model@v1"), self.at(web))

        assert (code, found(tmp_path)) == (1, {})
        assert "cannot be one in a folder" in message
