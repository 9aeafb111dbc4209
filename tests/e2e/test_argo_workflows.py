"""An InferenceJob as a step of a workflow: the step ends as the job does, and the next one gets its answers."""

import pytest

from tests.e2e.cluster import Namespace, eventually
from tests.e2e.objects import config_map, from_config_map
from tests.e2e.results import read_lines
from tests.e2e.workflows import Workflow, ending, node, outputs

pytestmark = pytest.mark.usefixtures("argo_workflows")

WAITS = {"model": "nobody-serves-this", "input": {"text": "Hi"}}


def test_the_next_step_reads_the_answers_of_a_completed_job(ready_backend: Namespace, gateway: str) -> None:
    workflow = Workflow.start(ready_backend)

    end = workflow.end()

    job = workflow.inference_job()
    assert ending(end) == ("Succeeded", "")
    assert job["status"]["phase"] == "Completed"
    assert outputs(node(end, workflow.name)) == {"uri": job["status"]["output"]["uri"], "answers": "2"}
    assert outputs(node(end, "ask")) == {
        "job": job["metadata"]["name"],
        "uri": job["status"]["output"]["uri"],
        "succeeded": "2",
        "failed": "0",
    }
    assert len(read_lines(gateway, job["status"]["output"]["uri"])) == 2


def test_a_failed_job_fails_the_step_and_nothing_follows(namespace: Namespace) -> None:
    bad = config_map("records", [])
    bad["data"]["records.jsonl"] = '{"text": \n'
    namespace.apply(bad)

    workflow = Workflow.start(namespace, spec={"model": "llama3-8b-q4", "input": from_config_map("records")})
    end = workflow.end()

    assert (end["phase"], workflow.inference_job()["status"]["phase"]) == ("Failed", "Failed")
    assert "failure condition '{status.phase in [Canceled Failed]}' evaluated true" in node(end, "ask")["message"]
    assert node(end, "count") == {}


def test_a_canceled_job_fails_the_step(namespace: Namespace) -> None:
    workflow = Workflow.start(namespace, spec=WAITS)
    job = workflow.inference_job()["metadata"]["name"]
    namespace.wait_for_reason("ij", job, "BackendReady", "BackendNotFound")

    namespace.kubectl("patch", "ij", job, "--type=merge", "--patch", '{"spec": {"cancel": true}}')

    end = workflow.end()
    assert (end["phase"], workflow.inference_job()["status"]["phase"]) == ("Failed", "Canceled")
    assert node(end, "count") == {}


def test_the_job_goes_with_its_workflow(namespace: Namespace) -> None:
    workflow = Workflow.start(namespace, spec=WAITS)
    workflow.inference_job()

    namespace.kubectl("delete", "workflow", workflow.name)

    eventually(lambda: namespace.select("ij") == [], what="the InferenceJob is gone")
