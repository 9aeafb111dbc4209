"""A real operator with a file of policies: what it does at its start, and when the file changes."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.controller.objects import Namespace, job
from tests.integration.controller.operator_process import OperatorProcess, eventually

EXIT_MISCONFIGURED = 2


def start(here: Namespace, file: Path) -> OperatorProcess:
    log = file.with_suffix(".log")
    return OperatorProcess.start(log, kubeconfig=here.kubeconfig, namespace=here.name, SPLAI_POLICIES_FILE=str(file))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policies.yaml"


@pytest.fixture
def operator(here: Namespace, file: Path) -> Iterator[OperatorProcess]:
    """One that leads, with the policy `night`."""
    file.write_text("night: {model: tiny-model, limits: {maxParallelism: 2}}")
    operator = start(here, file)
    eventually(lambda: operator.leading, "the operator leads")
    yield operator
    operator.stop(signal.SIGKILL)


def reason(here: Namespace, name: str = "job") -> str:
    found: str = here.condition("ij", name, "Ready").get("reason", "")
    return found


def test_a_bad_file_ends_the_operator_with_what_is_wrong(here: Namespace, file: Path) -> None:
    file.write_text("night: {limits: {maxParalelism: 2}}")

    operator = start(here, file)

    assert operator.process.wait(timeout=60) == EXIT_MISCONFIGURED
    assert "night.limits.maxParalelism: Extra inputs are not permitted" in operator.log.read_text()


@pytest.mark.usefixtures("operator")
def test_a_policy_that_comes_later_is_taken_over_without_a_restart(here: Namespace, file: Path) -> None:
    here.apply(job(policy="day"))
    eventually(lambda: reason(here) == "PolicyNotFound", "the job waits for its policy")

    file.write_text("day: {}")

    eventually(lambda: reason(here) == "BackendNotFound", "the job has its policy, and lacks only a backend")


def test_a_bad_change_leaves_the_last_good_policies_and_is_told(
    here: Namespace, file: Path, operator: OperatorProcess
) -> None:
    file.write_text("night: nonsense")
    eventually(lambda: operator.metric("splai_operator_policies_current").get(()) == 0, "the metric tells it")

    here.apply(job(policy="night"))

    eventually(lambda: reason(here) == "BackendNotFound", "the job has its policy")
