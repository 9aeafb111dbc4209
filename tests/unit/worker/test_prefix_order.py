"""Requests that begin alike follow each other."""

import random
from typing import Any

import pytest

from splai.api.inference_job import Prompt
from splai.api.ledger import OUTPUT
from splai.worker import prefix_order
from splai.worker.prefix_order import PrefixOrder
from splai.worker.records import Records
from splai.worker.store import PatientFolder
from tests.unit.worker.simulated_store import SimulatedFolder, Store, Weather
from tests.unit.worker.simulation import Cluster, SimulatedEngine, ids, make_order, read_file
from tests.unit.worker.virtual_time import run

DOCUMENTS = ["zebra", "apple", "zebra", "mango", "apple", "zebra"]
TEMPLATE = Prompt(template="About the {{ document }}: {{ question }}")


def records() -> list[dict[str, Any]]:
    return [{"document": name, "question": f"number {number}"} for number, name in enumerate(DOCUMENTS)]


def arranged(positions: list[int], **order: Any) -> list[int]:
    async def main() -> list[int]:
        planned = make_order(**{"records": records(), "prompt": TEMPLATE, **order})
        store = PatientFolder(SimulatedFolder(Store()), pulse=lambda: None)
        return await PrefixOrder(Records(store, planned), planned).arrange(positions)

    return run(main())


def test_records_are_sorted_by_the_request_that_they_make() -> None:
    assert arranged([0, 1, 2, 3, 4, 5]) == [1, 4, 3, 0, 2, 5]


def test_only_the_positions_that_are_given_are_arranged() -> None:
    assert arranged([2, 3, 4]) == [4, 3, 2]


def test_a_records_own_messages_are_its_request() -> None:
    own = [{"messages": [{"role": "user", "content": name}]} for name in DOCUMENTS]
    assert arranged([0, 1, 2, 3], records=own, prompt=None) == [1, 3, 0, 2]


def test_a_record_that_makes_no_request_has_its_turn_too() -> None:
    assert sorted(arranged([0, 1], records=[{"document": "apple"}, {}], prompt=TEMPLATE)) == [0, 1]


def test_a_large_task_is_arranged_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix_order, "WINDOW_BYTES", 100)  # two requests
    assert arranged([0, 1, 2, 3, 4, 5]) == [1, 0, 3, 2, 4, 5]


@pytest.mark.parametrize("most_tasks", [1, 1000], ids=["one task", "one record a task"])
@pytest.mark.parametrize(("dispatch_order", "sent"), [("Prefix", [1, 4, 3, 0, 2, 5]), ("Input", [0, 1, 2, 3, 4, 5])])
def test_a_job_is_sent_in_its_order_and_its_output_stays_in_the_inputs(
    dispatch_order: str, sent: list[int], most_tasks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("splai.api.ledger.MAX_TASKS", most_tasks)

    async def main() -> Cluster:
        chance = random.Random(1)
        order = make_order(records=records(), prompt=TEMPLATE, concurrency=1, dispatch_order=dispatch_order)
        cluster = Cluster(order, SimulatedEngine(chance), chance, Weather(latency=0.0))
        await cluster.run_job(1)
        return cluster

    cluster = run(main())
    assert [int(prompt.rpartition(" ")[2]) for prompt in cluster.engine.executions] == sent
    assert ids(read_file(cluster.store, OUTPUT)) == [f"record-{number}" for number in range(1, 7)]
