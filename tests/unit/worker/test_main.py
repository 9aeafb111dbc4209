"""How the commands end."""

import asyncio
import json
from pathlib import Path

import pytest

from splai.api.inference_job import RequestCounts, Usage
from splai.api.ledger import ClosingTask, FileSummary, Final
from splai.api.pod_contract import EXIT_BAD_INPUT, EXIT_RETRY
from splai.artifacts.folder import StoreRefused
from splai.core.inferencejob.template import TemplateError
from splai.outputs.destination import OutputProblem
from splai.worker.finalize import NotCommitted
from splai.worker.finish import finish_job
from splai.worker.ledger import Ledger, LedgerBroken, PlanInvalid, encode
from splai.worker.main import (
    Ended,
    PlanMissing,
    explain,
    read_plan,
    write_termination_message,
)
from splai.worker.settings import WorkerSettings
from splai.worker.store import PatientFolder
from tests.unit.worker.simulated_store import SimulatedFolder, Store
from tests.unit.worker.simulation import make_order
from tests.unit.worker.test_settings import ENVIRONMENT
from tests.unit.worker.virtual_time import run

SUMMARY = FileSummary(bytes=1, sha256="a" * 64, lines=1)
FINAL = Final(
    nonce="n",
    complete=False,
    counts=RequestCounts(total=1000),
    usage=Usage(),
    output=SUMMARY,
    errors=SUMMARY,
    closed_tasks=[ClosingTask(task=f"{number:04d}", parts=["1-0"]) for number in range(1000)],
)


def settings(path: Path, **more: str) -> WorkerSettings:
    return WorkerSettings.from_environment(ENVIRONMENT | {"SPLAI_TERMINATION_LOG": str(path)} | more)


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (PlanInvalid("plan.json is not valid: model"), EXIT_BAD_INPUT, "PlanInvalid"),
        (TemplateError("line 1: bad"), EXIT_BAD_INPUT, "PlanInvalid"),
        (PlanMissing("the job's folder has no plan.json"), EXIT_RETRY, "PlanMissing"),
        (LedgerBroken("tasks/0000/commit is not a Commit"), EXIT_RETRY, "LedgerBroken"),
        (NotCommitted("3 of 3 tasks are not committed"), EXIT_RETRY, "NotCommitted"),
        (OutputProblem("OutputForbidden", "s3://b/job/: no"), EXIT_RETRY, "OutputForbidden"),
        (OutputProblem("OutputInvalid", "pvc://c/job/: no"), EXIT_BAD_INPUT, "OutputInvalid"),
        (StoreRefused("wrong job", code="forbidden", status=403), EXIT_RETRY, "ArtifactStoreRefused"),
    ],
)
def test_a_failure_has_an_exit_code_and_a_reason(error: Exception, code: int, reason: str) -> None:
    ended = explain(ExceptionGroup("tasks", [ExceptionGroup("inner", [error])]))
    assert ended.code == code
    assert ended.message is not None
    assert ended.message["reason"] == reason
    assert str(error) in ended.message["message"]


def test_an_unexpected_failure_shows_its_type_and_not_its_words() -> None:
    assert explain(ValueError("the user's prompt")) == Ended(
        EXIT_RETRY, {"reason": "InternalError", "message": "ValueError"}
    )


def test_the_final_report_fits_the_termination_message(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write_termination_message(settings(log), Ended(0, FINAL.to_wire()))
    assert len(log.read_bytes()) <= 2048
    assert Final.model_validate_json(log.read_bytes()) == FINAL.model_copy(update={"closed_tasks": []})


def test_a_long_reason_is_cut(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write_termination_message(settings(log), Ended.failed(EXIT_RETRY, "LedgerBroken", "é" * 5000))
    assert len(log.read_bytes()) <= 2048
    assert json.loads(log.read_bytes())["reason"] == "LedgerBroken"


def test_outside_a_pod_there_is_no_message(tmp_path: Path) -> None:
    write_termination_message(settings(tmp_path / "absent" / "log"), Ended.failed(EXIT_RETRY, "PlanMissing", ""))


def test_a_missing_plan_is_awaited_for_a_minute() -> None:
    async def scenario() -> None:
        with pytest.raises(PlanMissing):
            await read_plan(Ledger(PatientFolder(SimulatedFolder(Store()), pulse=lambda: None), "me"))
        assert 60 <= asyncio.get_running_loop().time() < 65

    run(scenario())


def test_a_plan_that_comes_late_is_read() -> None:
    async def scenario() -> None:
        store, order = Store(), make_order(1)
        asyncio.get_running_loop().call_later(30, store.put, "plan.json", encode(order))
        assert await read_plan(Ledger(PatientFolder(SimulatedFolder(store), pulse=lambda: None), "me")) == order

    run(scenario())


def test_finishing_twice_is_finishing_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        order, store = make_order(2), Store()
        store.put("plan.json", encode(order))
        closing = settings(tmp_path, SPLAI_CLOSING_CODE="batch_cancelled", SPLAI_CLOSING_MESSAGE="Cancelled.")
        folder, stop = SimulatedFolder(store), asyncio.Event()
        finals = [await finish_job(folder, order, closing, pulse=lambda: None, stop=stop) for _ in range(2)]
        assert finals[0] == finals[1]
        assert (finals[0].errors.lines, finals[0].output.lines) == (2, 0)

    run(scenario())
