"""The access log of a running gateway: a line a request, and nothing of what was asked or answered."""

import io
import json

import pytest

from splai.gateway.access_log import AccessLog
from splai.gateway.settings import GatewaySettings
from tests.unit.gateway.apis import APIS, CHAT, TEXT, Api
from tests.unit.gateway.conftest import EngineRoom, running_gateway
from tests.unit.gateway.raw_caller import calling


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
async def test_a_line_says_what_happened_and_nothing_of_the_contents(
    engines: EngineRoom, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = await engines.start(api.good())
    settings = GatewaySettings(access_log=True)
    async with running_gateway(settings=settings, token="hush") as gateway, calling(gateway.port) as caller:
        gateway.serve("llama", engine.address, native_responses=api.native)
        secret = {"user": "SECRET", **({"input": "SECRET"} if "input" in api.document else {})}
        headers = {"Authorization": "Bearer hush", "X-Request-ID": "mine-1"}
        await caller.post(api.path + "?key=SECRET", {**api.document, **secret}, **headers)

    (text,) = capsys.readouterr().out.splitlines()
    line = json.loads(text)
    assert line.keys() >= {"time", "message", "request_id", "path", "model", "stream", "status", "seconds"}
    assert (line["request_id"], line["path"], line["model"]) == ("mine-1", api.path, "llama")
    assert (line["status"], line["stream"]) == (200, bool(api.events))
    for word in ("SECRET", "hush", TEXT):
        assert word not in text


async def test_a_model_that_does_not_exist_is_not_written_down(capsys: pytest.CaptureFixture[str]) -> None:
    async with running_gateway(settings=GatewaySettings()) as gateway, calling(gateway.port) as caller:
        await caller.post(CHAT.path, {**CHAT.document, "model": "SECRET"})

    line = json.loads(capsys.readouterr().out)
    assert (line["status"], line["model"]) == (404, "")


async def test_each_line_has_the_time_of_its_own_request(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    log = AccessLog(stream)

    for now in (1800000000.2, 1800000000.9, 1800000061.0):
        monkeypatch.setattr("splai.gateway.access_log.time.time", lambda now=now: now)
        log.add(request_id="r", path=CHAT.path, model="m", stream=False, status=200, seconds=0.1)
    log.close()

    times = [json.loads(line)["time"] for line in stream.getvalue().splitlines()]
    assert times == ["2027-01-15T08:00:00+0000", "2027-01-15T08:00:00+0000", "2027-01-15T08:01:01+0000"]
