"""The protocol's rules, one by one."""

import itertools

import pytest

from splai.api.inference_job import Usage
from splai.api.ledger import ClosingTask, Final, TaskCounts, WorkerReport
from splai.artifacts.folder import StoredObject
from splai.worker.ledger import Ledger, LedgerBroken, PlanInvalid, encode, read_listing
from splai.worker.store import PatientFolder
from tests.unit.worker.simulated_store import SimulatedFolder, Store, Weather
from tests.unit.worker.simulation import make_order
from tests.unit.worker.virtual_time import run


def make_ledger(store: Store, worker: str, weather: Weather | None = None) -> Ledger:
    nonces = (f"{worker}-{number}" for number in itertools.count())
    folder = PatientFolder(SimulatedFolder(store, weather), pulse=lambda: None)
    return Ledger(folder, worker, new_nonce=lambda: next(nonces))


LOST = Weather(lost_reply=0.9)
ECHO = Weather(echo=1.0)


@pytest.mark.parametrize("weather", [LOST, ECHO], ids=["lost reply", "the client's own retry"])
def test_a_claim_whose_reply_was_lost_is_still_mine(weather: Weather) -> None:
    async def scenario() -> None:
        store = Store()
        assert await make_ledger(store, "a", weather).claim("0000", 1)
        assert not await make_ledger(store, "b", weather).claim("0000", 1)
        assert await make_ledger(store, "b").holder("0000", 1) == "a"

    run(scenario())


def test_an_epoch_is_claimed_once() -> None:
    async def scenario() -> None:
        store = Store()
        a, b = make_ledger(store, "a"), make_ledger(store, "b")
        assert [await a.claim("0000", 1), await b.claim("0000", 1), await b.claim("0000", 2)] == [True, False, True]

    run(scenario())


def test_the_first_commit_wins_and_the_loser_learns_it() -> None:
    async def scenario() -> None:
        store = Store()
        first = await make_ledger(store, "a", ECHO).commit("0000", ["1-0"], TaskCounts(completed=1), Usage())
        second = await make_ledger(store, "b", ECHO).commit("0000", ["2-0"], TaskCounts(completed=1), Usage())
        assert first.parts == second.parts == ["1-0"]
        assert second.worker == "a"

    run(scenario())


def test_a_part_whose_reply_was_lost_is_durable() -> None:
    async def scenario() -> None:
        ledger = make_ledger(Store(), "a", ECHO)
        assert await ledger.write_part("0000", 1, 0, b"lines") == "1-0"
        assert await ledger.read_part("0000", "1-0") == b"lines"

    run(scenario())


def test_a_part_of_ones_own_epoch_that_somebody_else_wrote_breaks_the_ledger() -> None:
    async def scenario() -> None:
        store = Store({"tasks/0000/1-0": b"other lines"})
        with pytest.raises(LedgerBroken, match="tasks/0000/1-0 was written by another worker"):
            await make_ledger(store, "a").write_part("0000", 1, 0, b"lines")

    run(scenario())


def test_the_first_closing_wins() -> None:
    async def scenario() -> None:
        store = Store()
        await make_ledger(store, "a", ECHO).close("batch_cancelled", "", [ClosingTask(task="0000", parts=["1-0"])])
        adopted = await make_ledger(store, "b").close("batch_failed", "", [])
        assert (adopted.code, adopted.tasks[0].parts) == ("batch_cancelled", ["1-0"])

    run(scenario())


@pytest.mark.parametrize("first", [True, False])
def test_what_the_outputs_are_made_of_is_decided_once(first: bool) -> None:
    async def scenario() -> None:
        store = Store()
        a, b = make_ledger(store, "a", ECHO), make_ledger(store, "b", ECHO)
        assert await a.decide(closing=first) is first
        assert await b.decide(closing=not first) is first
        assert await a.decide(closing=not first) is first

    run(scenario())


def test_final_is_written_once() -> None:
    async def scenario() -> None:
        store = Store()
        a, b = make_ledger(store, "a"), make_ledger(store, "b")
        assert await a.read_final() is None
        for ledger, nonce in ((a, "1"), (b, "2")):
            body = {"nonce": nonce, "complete": True, "counts": {}, "usage": {}}
            summary = {"bytes": 0, "sha256": "", "lines": 0}
            await ledger.finish(Final.model_validate(body | {"output": summary, "errors": summary}))
        final = await b.read_final()
        assert final is not None
        assert final.nonce == "1"

    run(scenario())


def test_parts_are_listed_by_epoch_and_number_not_by_name() -> None:
    names = ["10-0", "2-0", "1-10", "1-2", "claim-1", "claim-10", "claim-9"]
    survey = read_listing(StoredObject(f"tasks/0007/{name}", 1) for name in names)
    assert survey.parts == {"0007": ["1-2", "1-10", "2-0", "10-0"]}
    assert survey.epochs == {"0007": 10}


def test_a_survey_shows_everything_that_names_can_show() -> None:
    paths = ["plan.json", "tasks/0000/claim-1", "tasks/0000/commit", "tasks/final/claim-2", "workers/w-0-x", "closing"]
    survey = read_listing(StoredObject(path, 1, etag="7") for path in paths)
    assert survey.committed == {"0000"}
    assert survey.epochs == {"0000": 1, "final": 2}
    assert survey.reports == {"w-0-x": "7"}
    assert survey.closing
    assert not survey.final


def test_a_missing_plan_is_no_plan() -> None:
    async def scenario() -> None:
        assert await make_ledger(Store(), "a").plan() is None

    run(scenario())


def test_a_plan_is_read_as_it_was_written() -> None:
    async def scenario() -> None:
        order = make_order(3)
        store = Store({"plan.json": encode(order)})
        assert await make_ledger(store, "a").plan() == order

    run(scenario())


@pytest.mark.parametrize(("data", "problem"), [(b"{", "no JSON"), (b'{"version": 2}', "version")])
def test_a_bad_plan_is_refused_by_its_fields_and_without_its_contents(data: bytes, problem: str) -> None:
    async def scenario() -> None:
        with pytest.raises(PlanInvalid, match=problem) as caught:
            await make_ledger(Store({"plan.json": data}), "a").plan()
        assert caught.value.__cause__ is None

    run(scenario())


def test_an_object_that_is_something_else_breaks_the_ledger() -> None:
    async def scenario() -> None:
        store = Store({"tasks/0000/commit": b'{"worker": 1}'})
        ledger = make_ledger(store, "a")
        with pytest.raises(LedgerBroken, match=r"tasks/0000/commit is not a Commit: .*nonce"):
            await ledger.read_commit("0000")
        with pytest.raises(LedgerBroken, match="tasks/0000/1-0 is named but does not exist"):
            await ledger.read_part("0000", "1-0")

    run(scenario())


def test_a_report_is_read_by_its_workers_name() -> None:
    async def scenario() -> None:
        report = WorkerReport(worker="w", child_job="job-1", index=0, pod_uid="u", sequence=4)
        ledger = make_ledger(Store({"workers/w": encode(report)}), "a")
        assert await ledger.report("w") == report
        assert await ledger.report("nobody") is None

    run(scenario())


def test_a_report_that_a_power_cut_emptied_counts_as_none() -> None:
    async def scenario() -> None:
        assert await make_ledger(Store({"workers/w": b""}), "a").report("w") is None

    run(scenario())
