"""Metrics: the names that dashboards know, a bounded number of series, and none of what is gone."""

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from splai.gateway import metrics as metrics_module
from splai.gateway.metric_families import BackendState
from splai.gateway.metrics import OTHER_MODELS, Metrics

CHAT = "/v1/chat/completions"
BACKEND = {"backend_namespace": "team-a", "integration_name": "openai"}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def answer(metrics: Metrics, model: str, code: int = 200) -> None:
    request = metrics.for_route(CHAT, model)
    request.began()
    request.ended(code, 0.3, 0.299)


async def test_a_request_is_counted_by_route_model_and_code() -> None:
    metrics = Metrics()

    request = metrics.for_route(CHAT, "llama")
    request.began()
    assert value(metrics, "splai_gateway_requests_in_flight", model="llama") == 1
    request.first_token(0.05)
    request.model.used(10, 20)
    request.ended(200, 0.3, 0.2995)

    labels = {"route": CHAT, "model": "llama"}
    assert value(metrics, "splai_gateway_requests_in_flight", model="llama") == 0
    assert value(metrics, "splai_gateway_requests_total", **labels, code="200") == 1
    assert value(metrics, "splai_gateway_request_duration_seconds_sum", **labels) == 0.3
    assert value(metrics, "splai_gateway_request_duration_seconds_bucket", **labels, le="0.25") == 0
    assert value(metrics, "splai_gateway_request_duration_seconds_bucket", **labels, le="0.5") == 1
    assert value(metrics, "splai_gateway_request_duration_seconds_bucket", **labels, le="+Inf") == 1
    assert value(metrics, "splai_gateway_overhead_seconds_bucket", **labels, le="0.001") == 1
    assert value(metrics, "splai_gateway_time_to_first_token_seconds_bucket", **labels, le="0.05") == 1
    assert value(metrics, "splai_gateway_tokens_total", model="llama", type="input") == 10
    assert value(metrics, "splai_gateway_tokens_total", model="llama", type="output") == 20


async def test_what_happens_on_the_way_is_counted_by_model() -> None:
    metrics = Metrics()
    model = metrics.for_model("llama")

    model.waited(2)
    model.failed("timeout")
    model.retried()
    model.fell_back()
    model.looked_up(hit=True)
    model.queued.inc()
    model.held.inc(2)

    assert value(metrics, "splai_gateway_queue_wait_seconds_count", model="llama") == 1
    assert value(metrics, "splai_gateway_upstream_errors_total", model="llama", reason="timeout") == 1
    assert value(metrics, "splai_gateway_retries_total", model="llama") == 1
    assert value(metrics, "splai_gateway_fallbacks_total", model="llama") == 1
    assert value(metrics, "splai_gateway_cache_lookups_total", model="llama", result="hit") == 1
    assert value(metrics, "splai_gateway_cache_lookups_total", model="llama", result="miss") == 0
    assert value(metrics, "splai_gateway_requests_queued", model="llama") == 1
    assert value(metrics, "splai_gateway_requests_held", model="llama") == 2


async def test_the_integration_metrics_of_a_backend() -> None:
    metrics = Metrics()

    backend = metrics.for_backend("team-a/openai")
    backend.answered(0.2)
    backend.failed()

    assert value(metrics, "integration_api_duration_seconds_bucket", **BACKEND, le="0.25") == 1
    assert value(metrics, "integration_errors_total", **BACKEND) == 1


async def test_health_and_breakers_are_what_they_are_at_the_scrape() -> None:
    metrics = Metrics()
    states = [BackendState("team-a", "openai", available=True)]
    metrics.show_backends(lambda: states)
    assert value(metrics, "integration_health", **BACKEND) == 1

    states[:] = [BackendState("team-a", "openai", available=False, breaker="open")]
    assert value(metrics, "integration_health", **BACKEND) == 0
    assert value(metrics, "splai_gateway_breaker_state", **BACKEND) == 2

    states.clear()
    assert value(metrics, "integration_health", **BACKEND) is None


async def test_what_is_gone_has_no_series_and_starts_anew_when_it_comes_back() -> None:
    metrics = Metrics()
    answer(metrics, "llama")
    answer(metrics, "qwen")
    unfinished = metrics.for_route(CHAT, "llama")
    unfinished.began()
    metrics.for_backend("team-a/openai").failed()
    metrics.for_backend("team-a/vllm").failed()

    metrics.retain(models={"qwen"}, backends={"team-a/vllm"})
    unfinished.ended(502, 1)
    unfinished.model.failed("unreachable")

    text = (await metrics.scrape()).decode()
    assert "llama" not in text
    assert "openai" not in text
    assert value(metrics, "splai_gateway_requests_total", route=CHAT, model="qwen", code="200") == 1
    metrics.for_route(CHAT, "llama").began()
    assert value(metrics, "splai_gateway_requests_in_flight", model="llama") == 1


async def test_models_beyond_the_budget_share_a_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_module, "MODELS_SHOWN", 2)
    metrics = Metrics()

    for number in range(5):
        answer(metrics, f"model-{number}")

    count = "splai_gateway_requests_total"
    assert value(metrics, count, route=CHAT, model="model-0", code="200") == 1
    assert value(metrics, count, route=CHAT, model=OTHER_MODELS, code="200") == 3
    assert value(metrics, count, route=CHAT, model="model-4", code="200") is None


async def test_codes_that_no_rfc_knows_are_one_label_a_class() -> None:
    metrics = Metrics()

    answer(metrics, "llama", 499)
    answer(metrics, "llama", 599)
    answer(metrics, "llama", 598)

    assert value(metrics, "splai_gateway_requests_total", route=CHAT, model="llama", code="499") == 1
    assert value(metrics, "splai_gateway_requests_total", route=CHAT, model="llama", code="5xx") == 2


async def test_a_scrape_is_prometheus_text_with_help_and_type_of_each_metric() -> None:
    metrics = Metrics()
    answer(metrics, 'a "quoted"\nname')
    metrics.for_backend("team-a/openai").answered(0.1)
    metrics.show_backends(lambda: [BackendState("team-a", "openai", available=True)])

    text = (await metrics.scrape()).decode()

    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {"integration_api_duration_seconds", "integration_errors", "integration_health"} <= families.keys()
    assert all(family.documentation and family.type != "unknown" for family in families.values())


async def test_a_scrape_of_many_models_lets_requests_be_answered_meanwhile_and_is_one_text() -> None:
    metrics = Metrics()
    for number in range(60):
        answer(metrics, f"model-{number}")

    scraping = asyncio.create_task(metrics.scrape())
    turns = 0
    while not scraping.done():
        turns += 1
        await asyncio.sleep(0)

    text = scraping.result().decode()
    assert turns > len(metrics.by_model) * 2
    assert text.count("# TYPE splai_gateway_requests_total counter") == 1
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert len(families["splai_gateway_requests"].samples) == 60
    assert len({sample.labels["model"] for sample in families["splai_gateway_overhead_seconds"].samples}) == 60
