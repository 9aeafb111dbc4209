"""What can be known before a pod exists is said before a pod exists."""

import pytest

from tests.e2e.cluster import KubectlError, Namespace
from tests.e2e.objects import backend, config_map, from_config_map, job


def failed_message(namespace: Namespace, name: str) -> str:
    status = namespace.wait_for_phase(name, "Failed", timeout=60)
    validated = namespace.condition("ij", name, "Validated")
    assert (validated["status"], validated["reason"]) == ("False", "ValidationFailed")
    assert namespace.condition("ij", name, "Failed")["status"] == "True"
    assert namespace.select("jobs") == []
    assert namespace.select("pods", "splai.dev/inferencejob") == []
    message: str = status["message"]
    return message


def test_a_bad_record_fails_the_job_with_its_line(namespace: Namespace) -> None:
    bad = config_map("records", [])
    bad["data"]["records.jsonl"] = '{"text": "fine"}\n{"text": \n'
    namespace.apply(backend(replicas=0), bad, job("bad-record", input=from_config_map("records")))

    assert "line 2" in failed_message(namespace, "bad-record")


def test_a_template_field_that_no_record_has_fails_the_job_with_the_fields_there_are(namespace: Namespace) -> None:
    namespace.apply(
        backend(replicas=0),
        job("bad-field", input={"items": [{"subject": "x"}]}, prompt={"template": "{{ subjct }}"}),
    )

    message = failed_message(namespace, "bad-field")

    assert "subjct" in message
    assert "subject" in message


def test_an_empty_input_fails_the_job(namespace: Namespace) -> None:
    namespace.apply(backend(replicas=0), config_map("empty", []), job("empty", input=from_config_map("empty")))

    assert "holds no record" in failed_message(namespace, "empty")


def test_a_wrong_field_in_the_manifest_is_refused_by_name(namespace: Namespace) -> None:
    with pytest.raises(KubectlError, match=r'unknown field "spec\.paralelism"'):
        namespace.apply(job("typo", input={"text": "Hi"}, paralelism=3))


def test_two_inputs_are_refused_with_the_rule(namespace: Namespace) -> None:
    with pytest.raises(KubectlError, match="exactly one of text, items, configMap"):
        namespace.apply(job("both", input={"text": "Hi", "items": ["Hi"]}))
