"""What every route has in common, and the routes that no engine answers."""

import httpx
import pytest

from splai.gateway.endpoints.application import metrics_application
from splai.gateway.endpoints.load import Load
from splai.gateway.paths import HOT_PATHS, PREFIXES
from splai.gateway.routing.admission import Admission
from splai.gateway.routing.hold import Hold
from splai.gateway.routing.observed import Backend
from splai.gateway.routing.routes import build_routes
from splai.gateway.routing.selection import Selection
from tests.unit.gateway.endpoints.conftest import Cold

ORIGIN = {"Origin": "http://localhost:3000"}


@pytest.mark.parametrize(
    "path", ["/", "/chat/completions", "/v1/nothing", "/v1/models/", "/v1/artifacts/team-a/uid-1/", "/v1/%C3%A9"]
)
async def test_a_path_that_does_not_exist_is_404_in_openais_shape(cold: Cold, path: str) -> None:
    reply = await cold.get(path)

    assert reply.status_code == 404
    message = f"There is nothing at {path.replace('%C3%A9', 'é')}"
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": "not_found"}
    assert reply.json() == {"error": error, "detail": message}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", "OPTIONS, POST"),
        ("DELETE", "/v1/openai/responses", "OPTIONS, POST"),
        ("POST", "/v1/models", "GET, HEAD, OPTIONS"),
        ("PUT", "/health", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_wrong_method_is_405_and_names_the_right_ones(cold: Cold, method: str, path: str, allowed: str) -> None:
    reply = await cold.call(method, path)

    assert reply.status_code == 405
    assert reply.headers["Allow"] == allowed
    assert reply.json()["detail"] == f"{path} does not accept {method}"
    assert reply.json()["error"]["code"] == "method_not_allowed"


async def test_a_fault_of_ours_is_500_and_nobody_is_told_its_words(
    cold: Cold, caplog: pytest.LogCaptureFixture
) -> None:
    cold.table = None  # type: ignore[assignment]

    reply = await cold.get("/v1/models")

    assert reply.status_code == 500
    assert reply.json()["detail"] == "Error processing request: internal error"
    facts = caplog.records[-1].__dict__
    assert (facts["error"], facts["route"]) == ("AttributeError", "/v1/models")
    assert "NoneType" not in caplog.text + str(facts["traceback"])
    assert cold.value("splai_gateway_requests_total", route="/v1/models", model="", code="500") == 1


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        *((prefix + path, "OPTIONS, POST") for prefix in PREFIXES for path in HOT_PATHS),
        ("/v1", "GET, HEAD, OPTIONS"),
        ("/v1/", "GET, HEAD, OPTIONS"),
        ("/v1/models", "GET, HEAD, OPTIONS"),
        ("/v1/models/a/b:c", "GET, HEAD, OPTIONS"),
        ("/v1/artifacts/team-a/uid-1/output.jsonl", "GET, HEAD, OPTIONS"),
        ("/health", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_browser_may_call_every_route(cold: Cold, path: str, methods: str) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-stainless-os"}

    reply = await cold.call("OPTIONS", path, **ORIGIN, **asked)

    assert reply.status_code == 200
    assert reply.headers["Access-Control-Allow-Methods"] == methods
    assert reply.headers["Access-Control-Allow-Headers"] == "authorization,x-stainless-os"


async def test_a_bare_options_is_ok(cold: Cold) -> None:
    reply = await cold.call("OPTIONS", "/v1/models")

    assert reply.json() == {"message": "OK"}
    assert reply.headers["Access-Control-Allow-Headers"] == "*"


async def test_options_invents_no_route(cold: Cold) -> None:
    assert (await cold.call("OPTIONS", "/v1/nothing")).status_code == 404


async def test_what_the_server_adds_is_not_added_twice(cold: Cold) -> None:
    reply = await cold.get("/v1/models", **ORIGIN)

    assert not {"access-control-allow-origin", "access-control-expose-headers", "x-request-id"} & set(reply.headers)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/", "/health", "/docs", "/v1/nothing"])
async def test_head_is_get_without_a_body(cold: Cold, path: str) -> None:
    whole, head = await cold.get(path), await cold.call("HEAD", path)

    assert head.status_code == whole.status_code
    assert head.headers == whole.headers
    assert head.content == b""


@pytest.mark.parametrize("path", ["/v1/models", "/v1/openai/models"])
async def test_all_names_are_listed_ready_or_not(cold: Cold, path: str) -> None:
    cold.table = build_routes(
        [
            Backend("team-a", "x", 1700000000, "llama3-8b-q4", ("llama3.1:8b",)),
            Backend("team-b", "y", 1700000100, "llama3-8b-q4"),
        ],
        [],
    )

    reply = await cold.get(path)

    assert reply.headers["Content-Type"] == "application/json"
    assert reply.json() == {
        "object": "list",
        "data": [
            {"id": "llama3-8b-q4", "object": "model", "created": 1700000000, "owned_by": "team-a"},
            {"id": "llama3.1:8b", "object": "model", "created": 1700000000, "owned_by": "team-a"},
            {"id": "team-b/llama3-8b-q4", "object": "model", "created": 1700000100, "owned_by": "team-b"},
        ],
    }


async def test_the_list_follows_the_routes(cold: Cold) -> None:
    assert (await cold.get("/v1/models")).json()["data"] == []

    cold.serve("llama")

    assert [model["id"] for model in (await cold.get("/v1/models")).json()["data"]] == ["llama"]


@pytest.mark.parametrize("path", ["llama3.1:8b", "llama3.1%3A8b", "team-a/llama3.1:8b", "team-a%2Fllama3.1%3A8b"])
async def test_a_model_is_found_by_an_id_with_slashes_and_colons(cold: Cold, path: str) -> None:
    cold.serve("llama3.1:8b")

    for prefix in PREFIXES:
        reply = await cold.get(f"{prefix}/models/{path}")

        assert reply.status_code == 200
        assert reply.json()["object"] == "model"


async def test_an_unknown_model_is_404_and_the_known_ones_are_named(cold: Cold) -> None:
    cold.serve("llama", aliases=("gpt-4o-mini",))

    reply = await cold.get("/v1/models/nobody")

    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "model_not_found"
    assert reply.json()["detail"] == "The model 'nobody' does not exist. Models: gpt-4o-mini, llama"


async def test_ready_means_that_the_routes_are_known(cold: Cold) -> None:
    assert (await cold.get("/readyz")).status_code == 200

    cold.ready = False

    assert (await cold.get("/readyz")).status_code == 503
    assert (await cold.get("/healthz")).status_code == 200


async def test_metrics_are_on_the_api_and_on_a_port_of_their_own(cold: Cold) -> None:
    await cold.get("/v1/models")
    expected = 'splai_gateway_requests_total{code="200",model="",route="/v1/models"} 1.0'

    on_the_api = await cold.get("/v1/metrics/prometheus")
    load = Load("gateway-1", routes=cold, selection=Selection(), admission=Admission(), hold=Hold(cold))
    transport = httpx.ASGITransport(metrics_application(cold.metrics, load))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway:9464") as http:
        on_its_port = await http.get("/metrics")

    assert expected in on_the_api.text
    assert expected in on_its_port.text
    assert on_its_port.headers["Content-Type"].startswith("text/plain; version=")
    assert on_its_port.headers["Content-Type"] == on_the_api.headers["Content-Type"]


async def test_what_the_operator_asks_is_not_on_the_api(cold: Cold) -> None:
    assert (await cold.get("/internal/load")).status_code == 404


async def test_paths_that_callers_make_up_are_one_label(cold: Cold) -> None:
    for number in range(3):
        await cold.get(f"/made-up/{number}")
        await cold.get(f"/v1/models/made-up-{number}")

    assert cold.value("splai_gateway_requests_total", route="none", model="", code="404") == 3
    assert cold.value("splai_gateway_requests_total", route="/v1/models/{model}", model="", code="404") == 3
    assert b"made-up" not in await cold.metrics.scrape()
    assert cold.value("splai_gateway_requests_in_flight", model="") == 0
