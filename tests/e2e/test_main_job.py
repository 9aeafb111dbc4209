"""The main job: a model becomes a Service, a batch becomes pods with GPUs, and every record is answered once."""

from typing import Any

import httpx

from tests.e2e.cluster import Namespace
from tests.e2e.objects import GPU_PRODUCT, backend, config_map, dedicated, from_config_map, job
from tests.e2e.results import custom_ids, default_ids, read_lines


def gpu_limits(pod: dict[str, Any]) -> int:
    containers = pod["spec"]["containers"] + pod["spec"].get("initContainers", [])
    return sum(int(c.get("resources", {}).get("limits", {}).get("nvidia.com/gpu", 0)) for c in containers)


def test_a_dedicated_job_answers_every_record_once_and_in_order_on_gpu_pods(namespace: Namespace, gateway: str) -> None:
    records = [{"subject": f"Printer {number} is on fire"} for number in range(40)]
    namespace.apply(backend(replicas=0), config_map("tickets", records))

    namespace.apply(
        job(
            "triage",
            input=from_config_map("tickets"),
            prompt={"template": "Classify: {{ subject }}", "system": "One word."},
            workers=dedicated(2),
        )
    )

    status = namespace.wait_for_phase("triage", "Completed")
    assert (status["total"], status["succeeded"], status["failed"]) == (40, 40, 0)
    assert status["progressPercent"] == 100
    answers = read_lines(gateway, status["output"]["uri"])
    assert custom_ids(answers) == default_ids(40)
    assert all(answer["response"]["body"]["choices"][0]["message"]["content"] for answer in answers)
    pods = namespace.select("pods", "splai.dev/inferencejob=triage,app.kubernetes.io/component=worker")
    assert len(pods) == 2
    assert all(gpu_limits(pod) == 1 and pod["spec"]["nodeSelector"] == GPU_PRODUCT for pod in pods)


def test_completion_and_embedding_jobs_run_in_shared_workers(ready_backend: Namespace, gateway: str) -> None:
    ready_backend.apply(
        job("complete", type="completion", input={"items": ["Once upon", "In the end"]}),
        job("embed", type="embedding", input={"items": ["a cat", "a dog"]}, parameters={}),
    )

    completed = ready_backend.wait_for_phase("complete", "Completed")
    embedded = ready_backend.wait_for_phase("embed", "Completed")

    texts = read_lines(gateway, completed["output"]["uri"])
    vectors = read_lines(gateway, embedded["output"]["uri"])
    assert all(line["response"]["body"]["choices"][0]["text"] for line in texts)
    assert [len(line["response"]["body"]["data"][0]["embedding"]) for line in vectors] == [576, 576]


def test_an_openai_batch_file_runs_unchanged_and_keeps_its_custom_ids(ready_backend: Namespace, gateway: str) -> None:
    lines = [
        {
            "custom_id": f"order-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1},
        }
        for number in (7, 3, 5)
    ]
    ready_backend.apply(config_map("batch", lines), job("batch", input=from_config_map("batch")))

    status = ready_backend.wait_for_phase("batch", "Completed")

    assert custom_ids(read_lines(gateway, status["output"]["uri"])) == ["order-7", "order-3", "order-5"]
    assert status["usage"]["completionTokens"] == 3


def test_each_tasks_output_is_readable_by_the_uri_in_the_status(ready_backend: Namespace, gateway: str) -> None:
    ready_backend.apply(job("two", input={"items": ["one", "two"]}))

    status = ready_backend.wait_for_phase("two", "Completed")

    uris = [task["outputArtifactURI"] for task in status["tasks"]]
    assert [custom_ids(read_lines(gateway, uri)) for uri in uris] == [["record-1"], ["record-2"]]


def test_an_unknown_artifact_is_an_openai_shaped_404(gateway: str) -> None:
    reply = httpx.get(f"{gateway}/v1/artifacts/default/00000000-0000-0000-0000-000000000000/output.jsonl", timeout=60)

    assert reply.status_code == 404
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}


def test_the_resources_read_well_in_kubectl(ready_backend: Namespace) -> None:
    ready_backend.apply(job("one", input={"text": "Hi"}))
    ready_backend.wait_for_phase("one", "Completed")

    table = ready_backend.kubectl("get", "ij,mb")
    explained = ready_backend.kubectl("explain", "inferencejob.spec.workers")

    assert "Completed" in table
    assert "llama3-8b-q4" in table
    assert "parallelism" in explained
    assert "Worker pods at once" in explained
