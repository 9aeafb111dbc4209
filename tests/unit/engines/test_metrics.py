"""What each engine tells Prometheus, on its pods, in the chart's recording rules and in the docs."""

import re
from pathlib import Path
from typing import Any

import pytest

from charts import engine_rules
from splai.adapter.metrics import Metrics as AdapterMetrics
from splai.api.model_backend import ModelBackend
from splai.core.modelbackend.deployment import build_deployment
from splai.core.modelbackend.leader_worker_set import build_leader_worker_set
from splai.core.settings import OperatorSettings
from splai.engines import METRICS
from splai.engines.metrics import COMMON
from tests.unit.engines.test_engine_pod import (
    CUSTOM,
    IMAGES,
    LLAMACPP,
    OLLAMA,
    SGLANG,
    TGI,
    TRANSFORMERS,
    VLLM,
    WORKFLOW,
)

DOCS = Path(__file__).parents[3] / "docs" / "observability.md"
SETTINGS = OperatorSettings(image="splai/splai:1", engine_images=IMAGES)
REMOTE: dict[str, Any] = {
    "model": {"id": "gpt-4o-mini"},
    "engine": {"type": "Remote"},
    "remote": {"provider": "OpenAI", "model": "gpt-4o-mini"},
}


def backend(spec: dict[str, Any], **more: Any) -> ModelBackend:
    metadata = {"name": "model", "namespace": "team", "uid": "uid"}
    return ModelBackend.model_validate({"metadata": metadata, "spec": spec | more})


def annotations(spec: dict[str, Any], **more: Any) -> dict[str, str]:
    """Of the backend's pods."""
    pod = build_deployment(backend(spec, **more), SETTINGS)["spec"]["template"]
    found: dict[str, str] = pod["metadata"].get("annotations", {})
    return found


@pytest.mark.parametrize(
    ("spec", "port"), [(LLAMACPP, "8080"), (VLLM, "8000"), (SGLANG, "8000"), (TGI, "8080"), (REMOTE, "8000")]
)
def test_a_pod_says_where_prometheus_finds_its_metrics(spec: dict[str, Any], port: str) -> None:
    assert annotations(spec) == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": port,
        "prometheus.io/path": "/metrics",
    }


@pytest.mark.parametrize("spec", [OLLAMA, TRANSFORMERS, CUSTOM, WORKFLOW], ids=lambda spec: spec["engine"]["type"])
def test_an_engine_without_metrics_says_nothing(spec: dict[str, Any]) -> None:
    assert annotations(spec) == {}


def test_the_template_has_the_last_word() -> None:
    assert annotations(VLLM, template={"annotations": {"prometheus.io/scrape": "false"}})["prometheus.io/scrape"] == (
        "false"
    )
    assert annotations(CUSTOM, template={"annotations": {"prometheus.io/scrape": "true"}}) == {
        "prometheus.io/scrape": "true"
    }


def test_the_other_nodes_of_a_replica_have_none() -> None:
    pods = build_leader_worker_set(backend(VLLM, resources={"nodes": 2}), SETTINGS)["spec"]["leaderWorkerTemplate"]

    assert "annotations" in pods["leaderTemplate"]["metadata"]
    assert "annotations" not in pods["workerTemplate"]["metadata"]


def test_every_engine_with_metrics_tells_how_many_requests_run() -> None:
    assert all("splai_engine_requests_running" in metrics.names for metrics in METRICS.values())


def test_the_adapter_has_the_metric_that_is_said_of_it() -> None:
    ours = {metric.name for metric in AdapterMetrics().registry.collect()}

    assert set(METRICS["Remote"].names.values()) <= ours


def test_the_recording_rules_of_the_chart_are_made_from_the_engines() -> None:
    assert engine_rules.RULES.read_text() == engine_rules.text(), "run `make generate`"


def test_a_rule_counts_each_pod_by_itself_and_only_pods_of_backends() -> None:
    rules = engine_rules.groups()["groups"][0]["rules"]
    found = {(rule["record"], rule["labels"]["engine"]): rule["expr"] for rule in rules}

    assert len(found) == len(rules)
    assert found["splai_engine_requests_running", "vLLM"] == (
        'sum by (namespace, modelbackend, pod) (vllm:num_requests_running{modelbackend!=""})'
    )
    assert found["splai_engine_kv_cache_usage_ratio", "SGLang"] == (
        'max by (namespace, modelbackend, pod) (sglang:token_usage{modelbackend!=""})'
    )
    assert found["splai_engine_time_to_first_token_seconds_bucket", "vLLM"] == (
        'sum by (namespace, modelbackend, pod, le) (vllm:time_to_first_token_seconds_bucket{modelbackend!=""})'
    )


def test_the_docs_have_every_name() -> None:
    table = DOCS.read_text().partition("| `splai_engine_…` |")[2].partition("\n\n")[0]
    header, _, *rows = table.splitlines()
    engines = re.findall(r"`(\w+)`", header)
    cells = [[cell.strip(" `") for cell in row.strip("|").split("|")] for row in rows]
    documented = {
        engine: {f"splai_engine_{row[0]}": row[column] for row in cells if row[column]}
        for column, engine in enumerate(engines, start=1)
    }

    assert [row[0] for row in cells] == list(COMMON)
    assert documented == {engine: dict(metrics.names) for engine, metrics in METRICS.items()}
