import pytest

from splai.core.inferencejob.records import Records
from splai.core.inferencejob.work_order import make_work_order, spec_hash
from tests.unit.core.builders import UID, make_backend, make_job


def test_the_order_holds_all_that_a_worker_needs() -> None:
    job = make_job(type="llm_inference", parameters={"max_tokens": 9}, requestTimeoutSeconds=5, prompt={"system": "s"})
    records = Records("jsonl", [{"text": "a", "none": None}])
    order = make_work_order(job, make_backend(), records, "http://smol.team.svc")
    assert order.to_wire() == {
        "version": 1,
        "namespace": "team",
        "job": "triage",
        "uid": UID,
        "type": "chat",
        "backend": "smol",
        "model": "llama3-8b-q4",
        "endpoint": "http://smol.team.svc",
        "prompt": {"system": "s"},
        "parameters": {"max_tokens": 9},
        "format": "jsonl",
        "records": [{"text": "a", "none": None}],
        "concurrency": 16,
        "retry": {"maxAttempts": 3, "initialBackoff": "1s", "maxBackoff": "60s"},
        "requestTimeoutSeconds": 5,
        "specHash": spec_hash(job.spec),
        "output": {"format": "openai-batch", "order": "input"},
        "dispatchOrder": "Input",
    }


def test_a_job_that_asks_for_an_alias_sends_the_id_that_is_served() -> None:
    order = make_work_order(make_job(model="gpt-4o-mini"), make_backend(), Records("jsonl", []), "http://e")
    assert order.model == "llama3-8b-q4"


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("sql", "llama-8b:sql"),
        ("team/sql", "llama-8b:sql"),
        ("llama:8b", "llama-8b"),
        ("gpt", "llama-8b"),
        (None, "llama-8b"),
    ],
)
def test_an_engine_is_asked_by_the_name_that_it_knows(asked: str | None, sent: str) -> None:
    adapters = [{"id": "sql", "source": "hf://team/sql"}]
    model = {"id": "llama:8b", "aliases": ["gpt"], "source": "hf://team/llama", "adapters": adapters}
    backend = make_backend(model=model, engine={"type": "SGLang"})

    order = make_work_order(make_job(model=asked), backend, Records("jsonl", []), "http://e")

    assert order.model == sent


def test_the_hash_changes_with_the_work_and_with_nothing_else() -> None:
    same = spec_hash(make_job().spec)
    assert spec_hash(make_job(workers={"parallelism": 9}, cancel=True).spec) == same
    assert spec_hash(make_job(records=4).spec) != same
    assert spec_hash(make_job(parameters={"seed": 1}).spec) != same


def test_the_order_of_keys_is_no_change() -> None:
    first, second = make_job(parameters={"a": 1, "b": 2}), make_job(parameters={"b": 2, "a": 1})
    assert spec_hash(first.spec) == spec_hash(second.spec)
