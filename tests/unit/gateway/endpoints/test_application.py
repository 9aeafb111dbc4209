"""What every route has in common, and the routes that no engine answers."""

import httpx
import pytest

from splai.gateway.endpoints.application import metrics_application
from splai.gateway.routing.observed import Backend
from splai.gateway.routing.routes import build_routes
from splai.gateway.server import listening
from tests.unit.gateway.conftest import Gateway

ORIGIN = {"Origin": "http://localhost:3000"}


async def call(gateway: Gateway, method: str, path: str, **options: object) -> httpx.Response:
    async with gateway.http() as http:
        return await http.request(method, path, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/", "/chat/completions", "/v1/nothing", "/v1/artifacts/team-a/uid-1/"])
async def test_a_path_that_does_not_exist_is_404_in_openais_shape(gateway: Gateway, path: str) -> None:
    reply = await call(gateway, "GET", path)

    assert reply.status_code == 404
    message = f"There is nothing at {path}"
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": "not_found"}
    assert reply.json() == {"error": error, "detail": message}


async def test_a_wrong_method_is_405_and_names_the_right_one(gateway: Gateway) -> None:
    reply = await call(gateway, "GET", "/v1/chat/completions")

    assert reply.status_code == 405
    assert reply.headers["Allow"] == "POST"
    assert reply.json()["error"]["code"] == "method_not_allowed"


async def test_a_fault_of_ours_is_500_and_tells_nothing_of_it(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.table = None  # type: ignore[assignment]

    reply = await call(gateway, "GET", "/v1/models", headers={"X-Request-ID": "id-1"})

    assert reply.status_code == 500
    assert reply.json()["detail"] == "Error processing request: internal error"
    assert caplog.records[-1].__dict__["request_id"] == "id-1"


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/chat/completions", "OPTIONS, POST"),
        ("/v1/openai/embeddings", "OPTIONS, POST"),
        ("/v1/models", "GET, HEAD, OPTIONS"),
        ("/v1/models/a/b:c", "GET, HEAD, OPTIONS"),
        ("/v1/artifacts/team-a/uid-1/output.jsonl", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_browser_may_call_every_route(gateway: Gateway, path: str, methods: str) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-stainless-os"}

    reply = await call(gateway, "OPTIONS", path, headers=ORIGIN | asked)

    assert reply.status_code == 200
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert reply.headers["Access-Control-Allow-Methods"] == methods
    assert reply.headers["Access-Control-Allow-Headers"] == "authorization,x-stainless-os"


async def test_a_bare_options_is_ok(gateway: Gateway) -> None:
    assert (await call(gateway, "OPTIONS", "/v1/models")).json() == {"message": "OK"}


async def test_options_invents_no_route(gateway: Gateway) -> None:
    assert (await call(gateway, "OPTIONS", "/v1/nothing")).status_code == 404


@pytest.mark.parametrize("path", ["/v1/models", "/v1/nothing"])
async def test_every_reply_may_be_read_by_any_page(gateway: Gateway, path: str) -> None:
    reply = await call(gateway, "GET", path, headers=ORIGIN)

    assert reply.headers.get_list("Access-Control-Allow-Origin") == ["*"]
    assert "Access-Control-Allow-Credentials" not in reply.headers
    assert reply.headers["X-Request-ID"]


@pytest.mark.parametrize("path", ["/v1/models", "/v1/openai/models"])
async def test_all_names_are_listed_ready_or_not(gateway: Gateway, path: str) -> None:
    gateway.table = build_routes(
        [
            Backend("team-a", "x", 1700000000, "llama3-8b-q4", ("llama3.1:8b",)),
            Backend("team-b", "y", 1700000100, "llama3-8b-q4"),
        ],
        [],
    )

    reply = await call(gateway, "GET", path)

    assert reply.json() == {
        "object": "list",
        "data": [
            {"id": "llama3-8b-q4", "object": "model", "created": 1700000000, "owned_by": "team-a"},
            {"id": "llama3.1:8b", "object": "model", "created": 1700000000, "owned_by": "team-a"},
            {"id": "team-b/llama3-8b-q4", "object": "model", "created": 1700000100, "owned_by": "team-b"},
        ],
    }


@pytest.mark.parametrize("path", ["llama3.1:8b", "llama3.1%3A8b", "team-a/llama3.1:8b", "team-a%2Fllama3.1%3A8b"])
async def test_a_model_is_found_by_an_id_with_slashes_and_colons(gateway: Gateway, path: str) -> None:
    gateway.serve("llama3.1:8b")

    for prefix in ("/v1", "/v1/openai"):
        reply = await call(gateway, "GET", f"{prefix}/models/{path}")

        assert reply.status_code == 200
        assert reply.json()["object"] == "model"


async def test_an_unknown_model_is_404(gateway: Gateway) -> None:
    reply = await call(gateway, "GET", "/v1/models/nobody")

    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "model_not_found"
    assert reply.json()["detail"] == "The model 'nobody' does not exist. There is no ModelBackend yet"


async def test_ready_means_that_the_routes_are_known(gateway: Gateway) -> None:
    assert (await call(gateway, "GET", "/readyz")).status_code == 200

    gateway.ready = False

    assert (await call(gateway, "GET", "/readyz")).status_code == 503
    assert (await call(gateway, "GET", "/healthz")).status_code == 200


async def test_metrics_are_on_the_api_and_on_a_port_of_their_own(gateway: Gateway) -> None:
    await call(gateway, "GET", "/v1/models")
    expected = 'splai_gateway_requests_total{code="200",model="",route="/v1/models"} 1.0'

    assert expected in (await call(gateway, "GET", "/v1/metrics/prometheus")).text
    async with listening(metrics_application(gateway.metrics), 0, host="127.0.0.1") as port, gateway.http() as http:
        reply = await http.get(f"http://127.0.0.1:{port}/metrics")
    assert expected in reply.text
    assert reply.headers["Content-Type"].startswith("text/plain; version=")


async def test_paths_that_callers_make_up_are_one_label(gateway: Gateway) -> None:
    for number in range(3):
        await call(gateway, "GET", f"/made-up/{number}")

    assert gateway.value("splai_gateway_requests_total", route="none", model="", code="404") == 3
