"""The HTTP API as its callers see it: a real server on a loopback port over a real directory."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from splai.artifacts.client import HTTPJobFolder
from splai.artifacts.disk import Space
from splai.artifacts.folder import StoreRefused
from tests.unit.artifacts.conftest import Server, job_token, service_token
from tests.unit.worker.simulation import make_order

FOLDER = "/team-a/uid-1/"
CREATE_ONLY = {"If-None-Match": "*"}


def requests_counted(server: Server, method: str, status: str) -> float:
    labels = {"method": method, "status": status}
    return server.metrics.registry.get_sample_value("splai_artifacts_requests_total", labels) or 0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in the server
            await asyncio.sleep(0.01)


async def test_only_the_first_create_writes(folder: HTTPJobFolder) -> None:
    assert await folder.create("tasks/0000/commit", b"first")
    assert not await folder.create("tasks/0000/commit", b"second")
    assert await folder.get("tasks/0000/commit") == b"first"


async def test_of_fifty_creators_exactly_one_wins(folder: HTTPJobFolder) -> None:
    for number in range(5):
        won = await asyncio.gather(*(folder.create(f"tasks/{number}/commit", b"%d" % me) for me in range(50)))
        assert sum(won) == 1
        assert await folder.get(f"tasks/{number}/commit") == b"%d" % won.index(True)


@pytest.mark.parametrize("path", ["plan.json", "tasks/0000/claim-1", "tasks/0000/commit", "closing", "final"])
async def test_what_decides_something_cannot_be_overwritten(folder: HTTPJobFolder, path: str) -> None:
    await folder.create(path, b"first")

    with pytest.raises(StoreRefused) as refused:
        await folder.put(path, b"second")

    assert refused.value.code == "create_only"
    assert await folder.get(path) == b"first"


async def test_put_overwrites_and_changes_the_etag(folder: HTTPJobFolder) -> None:
    await folder.put("workers/a", b"1")
    before = (await folder.list("workers/"))[0].etag
    await folder.put("workers/a", b"2")
    assert await folder.get("workers/a") == b"2"
    assert (await folder.list("workers/"))[0].etag not in ("", before)


async def test_list_is_sorted_filtered_and_paged(server: Server, folder: HTTPJobFolder) -> None:
    for path in ("tasks/0001/claim-2", "tasks/0001/claim-10", "tasks/0000/claim-1", "plan.json"):
        await folder.create(path, b"12")
    assert [entry.path for entry in await folder.list()] == [
        "plan.json", "tasks/0000/claim-1", "tasks/0001/claim-10", "tasks/0001/claim-2",
    ]  # fmt: skip
    assert [entry.path for entry in await folder.list("tasks/0001/claim-1")] == ["tasks/0001/claim-10"]
    assert await folder.list("nothing/") == []
    async with server.http(job_token()) as http:
        pages = []
        query = {"list": "tasks/", "limit": "2"}
        while True:
            page = (await http.get(FOLDER, params=query)).json()
            pages.append([(entry["path"], entry["size"]) for entry in page["objects"]])
            if "next" not in page:
                break
            query["after"] = page["next"]
    assert pages == [[("tasks/0000/claim-1", 2), ("tasks/0001/claim-10", 2)], [("tasks/0001/claim-2", 2)]]


async def test_the_client_follows_all_pages(server: Server, folder: HTTPJobFolder) -> None:
    names = [f"tasks/{number:04d}" for number in range(2001)]
    (server.root / "team-a/uid-1/tasks").mkdir(parents=True)
    for name in names:
        (server.root / "team-a/uid-1" / name).touch()
    assert [entry.path for entry in await folder.list()] == names


@pytest.mark.parametrize(
    ("header", "status", "body", "content_range"),
    [
        (None, 200, b"0123456789", None),
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
    ],
)
async def test_range_reads(
    server: Server, folder: HTTPJobFolder, header: str | None, status: int, body: bytes, content_range: str | None
) -> None:
    await folder.put("output.jsonl", b"0123456789")
    async with server.http(job_token()) as http:
        reply = await http.get(f"{FOLDER}output.jsonl", headers={"Range": header} if header else {})
    assert (reply.status_code, reply.content, reply.headers.get("Content-Range")) == (status, body, content_range)
    assert reply.headers["Accept-Ranges"] == "bytes"


async def test_a_range_past_the_end_is_not_satisfiable(server: Server, folder: HTTPJobFolder) -> None:
    await folder.put("output.jsonl", b"0123456789")
    async with server.http(job_token()) as http:
        reply = await http.get(f"{FOLDER}output.jsonl", headers={"Range": "bytes=10-"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (416, "range_not_satisfiable")


async def test_head_tells_size_and_etag(server: Server, folder: HTTPJobFolder) -> None:
    await folder.put("output.jsonl", b"0123456789")
    async with server.http(job_token()) as http:
        head = await http.head(f"{FOLDER}output.jsonl")
        body = await http.get(f"{FOLDER}output.jsonl", headers={"If-Match": head.headers["ETag"]})
        changed = await http.get(f"{FOLDER}output.jsonl", headers={"If-Match": '"another"'})
        missing = await http.head(f"{FOLDER}errors.jsonl")
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, "10", b"")
    assert (body.status_code, body.headers["ETag"]) == (200, head.headers["ETag"])
    assert (changed.status_code, changed.json()["error"]["code"]) == (412, "changed")
    assert missing.status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "../uid-2/plan.json", "tasks/../../uid-2/plan.json", "%2e%2e/uid-2/plan.json", "..%2fuid-2%2fplan.json",
        ".hidden", "tasks//commit", "tasks/%00", "a b", "output.jsonl%231", "a/b/c/d/e/f/g", "x" * 201, "progress",
        "%5c..%5cuid-2", "-option", "tasks/",
    ],
)  # fmt: skip
async def test_a_path_outside_the_rules_is_refused(server: Server, path: str) -> None:
    async with server.http(job_token()) as http:
        request = http.build_request("PUT", server.url, content=b"x")
        request.url = request.url.copy_with(raw_path=f"{FOLDER}{path}".encode())
        reply = await http.send(request)
    assert reply.status_code in (400, 403, 405)
    assert reply.json()["error"]["message"]
    assert not [file for file in server.root.rglob("*") if file.is_file() and "_server" not in file.parts]


async def test_a_bad_namespace_or_uid_is_refused(server: Server) -> None:
    async with server.http(service_token()) as http:
        for path in ("/_server/state/keys.json", "/Team/uid-1/plan.json", "/team-a/u_1/plan.json"):
            assert (await http.get(path)).json()["error"]["code"] == "bad_path"


async def test_every_error_is_json(server: Server) -> None:
    async with server.http(service_token()) as http:
        replies = {
            "not_found": await http.get(f"{FOLDER}plan.json"),
            "bad_prefix": await http.get(FOLDER, params={"list": "../"}),
            "bad_limit": await http.get(FOLDER, params={"limit": "0"}),
            "bad_condition": await http.put(f"{FOLDER}plan.json", content=b"", headers={"If-None-Match": '"x"'}),
            "method_not_allowed": await http.post(f"{FOLDER}plan.json"),
        }
        unrouted = await http.get("/nothing")
    assert {code: reply.json()["error"]["code"] for code, reply in replies.items()} == {code: code for code in replies}
    assert (unrouted.status_code, unrouted.json()["error"]["code"]) == (404, "not_found")


async def test_a_limit_of_thousands_of_digits_is_a_bad_limit_too(server: Server) -> None:
    async with server.http(service_token()) as http:
        reply = await http.get(FOLDER, params={"limit": "9" * 5000})

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "bad_limit")


async def test_a_created_object_is_at_most_16_mib(server: Server, folder: HTTPJobFolder) -> None:
    limit = 16 * 1024 * 1024
    assert await folder.create("tasks/0000/1-0", bytes(limit))
    with pytest.raises(StoreRefused, match="at most 16777216 bytes") as refused:
        await folder.create("tasks/0000/1-1", bytes(limit + 1))
    assert refused.value.status == 413

    async def without_length() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield bytes(1024 * 1024)

    async with server.http(job_token()) as http:
        reply = await http.put(f"{FOLDER}tasks/0000/1-2", content=without_length(), headers=CREATE_ONLY)
    assert reply.status_code == 413
    assert [entry.path for entry in await folder.list()] == ["tasks/0000/1-0"]


@pytest.mark.parametrize("path", ["plan.json", "reading.json", "input/pod-1/000000"])
async def test_below_five_percent_free_nothing_is_written_that_begins_a_job(
    server: Server, folder: HTTPJobFolder, path: str
) -> None:
    server.space = Space(used=951, free=49)
    async with server.http(service_token()) as http:
        reply = await http.put(f"{FOLDER}{path}", content=b"{}", headers=CREATE_ONLY)
    assert (reply.status_code, reply.json()["error"]["code"]) == (507, "insufficient_storage")
    server.space = Space(used=949, free=51)
    assert await folder.create(path, b"{}")


@pytest.mark.parametrize("path", ["input.json", "tasks/0000/claim-1", "tasks/0000/1-0", "tasks/0000/commit", "final"])
async def test_below_five_percent_free_what_has_begun_goes_on(server: Server, folder: HTTPJobFolder, path: str) -> None:
    server.space = Space(used=951, free=49)
    assert await folder.create(path, b"{}")
    await folder.put("workers/w", b"{}")


async def test_below_five_percent_free_a_job_that_has_to_begin_is_told_that_there_is_no_room(
    server: Server, folder: HTTPJobFolder
) -> None:
    assert not (await folder.progress()).store_full
    server.space = Space(used=951, free=49)
    assert (await folder.progress()).store_full

    server.space = Space(used=949, free=51)
    await folder.create("plan.json", make_order(1).model_dump_json(by_alias=True).encode())
    server.space = Space(used=951, free=49)
    assert not (await folder.progress()).store_full, "one that has begun finds room"


async def test_removing_the_folder_leaves_no_file_and_no_other_folder_changes(server: Server) -> None:
    async with server.client(service_token()) as client:
        mine, other = client.job("team-a", "uid-1"), client.job("team-a", "uid-2")
        for path in ("plan.json", "tasks/0000/commit"):
            await mine.create(path, b"x")
            await other.create(path, b"x")
        (server.root / "team-a/uid-1/output.jsonl#1").write_bytes(b"left by a writer that was killed")
        await mine.remove()
        await mine.remove()
        assert await mine.list() == []
        assert len(await other.list()) == 2
    assert not (server.root / "team-a/uid-1").exists()


async def test_an_upload_that_breaks_off_leaves_the_old_object(server: Server, folder: HTTPJobFolder) -> None:
    await folder.put("output.jsonl", b"old")
    for framing in (b"Content-Length: 9000000", b"Transfer-Encoding: chunked"):
        host, port = server.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = b"PUT /team-a/uid-1/output.jsonl HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n%s\r\n\r\n"
        writer.write(head % (job_token().encode(), framing))
        writer.write((b"800000\r\n" if b"chunked" in framing else b"") + bytes(0x800000))
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    await until(lambda: requests_counted(server, "PUT", "4xx") == 2)
    assert await folder.get("output.jsonl") == b"old"
    assert [file.name for file in (server.root / "team-a/uid-1").iterdir()] == ["output.jsonl"]


async def test_requests_and_bytes_are_counted_without_paths(server: Server, folder: HTTPJobFolder) -> None:
    await folder.create("plan.json", b"12345")
    await folder.create("plan.json", b"12345")
    await folder.get("plan.json")
    value = server.metrics.registry.get_sample_value
    assert (requests_counted(server, "PUT", "2xx"), requests_counted(server, "PUT", "4xx")) == (1, 1)
    assert value("splai_artifacts_received_bytes_total") == 10
    assert value("splai_artifacts_sent_bytes_total") == 5
    assert value("splai_artifacts_store_free_bytes") == 50
    assert value("splai_artifacts_request_seconds_count", {"method": "PUT"}) == 2


async def test_probes(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).status_code == 200
