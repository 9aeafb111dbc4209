"""Traces are made when the standard variables ask for them, and cost nothing when they do not."""

import subprocess
import sys
from pathlib import Path

import pytest

from splai.tracing.environment import TracingInvalid, handed_on, is_asked_for, tracing_from_environment
from tests.unit.trace_collector import running_collector, traced

SOURCE = Path(__file__).parents[3] / "operator"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
COLLECTOR = {ENDPOINT: "http://collector:4318"}


@pytest.mark.parametrize(
    ("environment", "asked"),
    [
        ({}, False),
        ({ENDPOINT: ""}, False),
        ({"OTEL_TRACES_SAMPLER": "always_on", "OTEL_SERVICE_NAME": "mine"}, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318"}, False),
        (COLLECTOR, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        (COLLECTOR | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (COLLECTOR | {"OTEL_SDK_DISABLED": "true"}, False),
        (COLLECTOR | {"OTEL_SDK_DISABLED": "false"}, True),
    ],
    ids=str,
)
def test_an_endpoint_or_an_exporter_asks_for_traces(environment: dict[str, str], asked: bool) -> None:
    assert is_asked_for(environment) is asked


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
    ],
)
def test_what_is_not_built_in_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(ENDPOINT, "http://collector:4317")
    monkeypatch.setenv(name, value)

    with pytest.raises(TracingInvalid, match=f"{name} is '{value}'"):
        tracing_from_environment("gateway")


def test_the_protocol_of_traces_wins_over_the_general_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")

    with traced("gateway", OTEL_EXPORTER_OTLP_TRACES_PROTOCOL="http/protobuf") as (tracing, collector):
        tracing.start("work", "internal").end()
        tracing.close()

        assert [span.name for span in collector.spans] == ["work"]


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, "http://collector:4318")
    monkeypatch.delitem(sys.modules, "splai.tracing.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)

    with pytest.raises(TracingInvalid, match=r"splai\[tracing\]"):
        tracing_from_environment("gateway")


@pytest.mark.parametrize("module", ["splai.gateway.server", "splai.controller.operator", "splai.worker.main"])
def test_a_component_without_traces_does_not_load_opentelemetry(module: str) -> None:
    script = (
        f"import sys, {module}\n"
        "from splai.tracing.environment import tracing_from_environment\n"
        "assert tracing_from_environment('test') is None\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(SOURCE)}
    )

    assert done.stdout.strip() == "[]"


def test_a_service_is_named_after_its_component_unless_it_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    for variables in ({}, {"OTEL_RESOURCE_ATTRIBUTES": "service.name=theirs"}, {"OTEL_SERVICE_NAME": "mine"}):
        with traced("gateway", **variables) as (tracing, collector):
            tracing.start("work", "internal").end()
            tracing.close()
            names += [span.service for span in collector.spans]

    assert names == ["splai-gateway", "theirs", "mine"]


def test_headers_and_path_are_those_of_the_standard() -> None:
    with traced("gateway", OTEL_EXPORTER_OTLP_HEADERS="x-tenant=blue") as (tracing, collector):
        tracing.start("work", "internal").end()
        tracing.close()

        assert collector.paths == {"/v1/traces"}
        assert collector.headers[0]["x-tenant"] == "blue"


def test_a_collector_that_does_not_answer_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    with running_collector() as collector, pytest.MonkeyPatch.context() as patch:
        collector.silent.set()
        patch.setenv(ENDPOINT, collector.url)
        patch.setenv("NO_PROXY", "127.0.0.1")
        tracing = tracing_from_environment("gateway")
        assert tracing is not None
        tracing.start("work", "internal").end()
        tracing.close(seconds=0.1)

    assert "the last spans could not be sent in time" in caplog.text


def test_pods_of_others_are_told_where_the_collector_is_and_no_secret() -> None:
    environment = {
        **COLLECTOR,
        "OTEL_TRACES_SAMPLER": "traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer secret",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "authorization=Bearer secret",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/etc/key.pem",
        "OTEL_SERVICE_NAME": "the-operator",
        "OTEL_RESOURCE_ATTRIBUTES": "k8s.pod.name=the-operator-0",
        "PATH": "/bin",
    }

    assert handed_on(environment) == {
        **COLLECTOR,
        "OTEL_TRACES_SAMPLER": "traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
    }


@pytest.mark.parametrize(
    "environment",
    [
        {"OTEL_TRACES_SAMPLER": "always_on"},
        COLLECTOR | {"OTEL_SDK_DISABLED": "true"},
        {ENDPOINT: "https://user:secret@collector:4318", "OTEL_TRACES_SAMPLER": "always_on"},
    ],
    ids=["off", "disabled", "a password in the address"],
)
def test_pods_of_others_are_told_nothing(environment: dict[str, str]) -> None:
    assert handed_on(environment) == {}
