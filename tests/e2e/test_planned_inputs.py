"""Inputs that the operator does not read itself: a planning pod does, before any pod with a GPU exists."""

import json

from tests.e2e.cluster import Namespace
from tests.e2e.objects import backend, dedicated, job
from tests.e2e.results import custom_ids, default_ids, read_lines
from tests.e2e.volumes import claim, run_python

WRITE_CSV = """
import gzip
with gzip.open("/volume/tickets.csv.gz", "wt", newline="") as file:
    file.write("subject,body\\r\\n")
    for number in range(30):
        file.write(f'"Printer {number}, again","It says ""PC LOAD LETTER"".\\nWhat now?"\\r\\n')
"""
READ_PARQUET = """
import json, pyarrow.parquet
table = pyarrow.parquet.read_table("/volume/answers/triage/output.parquet")
print(json.dumps(table.select(["custom_id", "status_code"]).to_pylist()))
"""
WRITE_BAD_LINES = """
lines = ['{"subject": "a"}'] * 4000
lines[6] = '{"subject": '
lines[3999] = '{"body": "no subject"}'
open("/volume/bad.jsonl", "w").write("\\n".join(lines))
"""


def test_a_compressed_table_on_a_volume_becomes_parquet_on_the_volume(namespace: Namespace) -> None:
    namespace.apply(backend(replicas=0), claim("data"))
    run_python(namespace, "data", WRITE_CSV)

    namespace.apply(
        job(
            "triage",
            input={"persistentVolumeClaim": {"claimName": "data", "path": "tickets.csv.gz"}},
            prompt={"template": "Classify: {{ subject }}: {{ body }}"},
            output={"persistentVolumeClaim": {"claimName": "data", "path": "answers"}, "format": "parquet"},
            workers=dedicated(),
        )
    )

    status = namespace.wait_for_phase("triage", "Completed")
    assert (status["total"], status["succeeded"], status["failed"]) == (30, 30, 0)
    assert status["output"]["uri"] == "pvc://data/answers/triage/output.parquet"
    rows = json.loads(run_python(namespace, "data", READ_PARQUET))
    assert [row["custom_id"] for row in rows] == default_ids(30)
    assert {row["status_code"] for row in rows} == {200}


def test_bad_records_on_a_volume_are_told_with_their_lines_and_no_gpu_is_taken(namespace: Namespace) -> None:
    namespace.apply(backend(replicas=0), claim("data"))
    run_python(namespace, "data", WRITE_BAD_LINES)

    namespace.apply(
        job(
            "bad",
            input={"persistentVolumeClaim": {"claimName": "data", "path": "bad.jsonl"}},
            prompt={"template": "{{ subject }}"},
            workers=dedicated(),
        )
    )

    namespace.wait_for_phase("bad", "Failed")
    validated = namespace.condition("ij", "bad", "Validated")
    assert (validated["status"], validated["reason"]) == ("False", "ValidationFailed")
    assert "line 7" in validated["message"]
    assert "line 4000" in validated["message"]
    pods = namespace.select("pods", "splai.dev/inferencejob=bad")
    assert [pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods] == ["plan"]


def test_only_what_failed_runs_again(ready_backend: Namespace, gateway: str) -> None:
    records = [{"text": "fine"}, {"text": "x " * 20000}, {"text": "fine too"}]  # the second is longer than the context
    ready_backend.apply(job("first", input={"items": records}))
    first = ready_backend.wait_for_phase("first", "Completed")
    assert (first["succeeded"], first["failed"]) == (2, 1)

    ready_backend.apply(job("second", input={"failedOf": {"name": "first"}}))

    second = ready_backend.wait_for_phase("second", "Completed")
    assert (second["total"], second["failed"]) == (1, 1)
    assert custom_ids(read_lines(gateway, second["errors"]["uri"])) == ["record-2"]
