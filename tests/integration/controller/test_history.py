"""An operator that keeps its history in a real PostgreSQL: what is left of a job whose time to live is over."""

import json
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from splai.api.base import format_time
from tests.integration.controller.job_cluster import JobCluster
from tests.integration.controller.objects import Namespace, backend, job
from tests.integration.controller.operator_process import OperatorProcess, eventually
from tests.integration.postgres import Postgres

StartOperator = Callable[[Postgres], OperatorProcess]


@pytest.fixture
def here(job_cluster: JobCluster) -> Iterator[Namespace]:
    with job_cluster.namespace() as namespace:
        yield namespace


@pytest.fixture
def start(job_cluster: JobCluster, here: Namespace, tmp_path: Path) -> Iterator[StartOperator]:
    """Start the operator of a history; returns when jobs can be answered."""
    running: list[OperatorProcess] = []

    def start(history: Postgres) -> OperatorProcess:
        settings = {"SPLAI_STORE": "postgres", "SPLAI_POSTGRES_DSN": history.dsn}
        running.append(job_cluster.start_operator(here, tmp_path / "operator.log", **settings))
        here.apply(backend())
        eventually(lambda: here.is_ready("tiny"), "the backend is ready")
        return running[-1]

    yield start
    for operator in running:
        operator.stop(signal.SIGKILL)


def completes(here: Namespace, name: str) -> None:
    here.apply(job(name))
    eventually(lambda: here.phases()[name] == "Completed", f"{name} is completed")


def has_outstayed_its_time(here: Namespace, name: str) -> None:
    """It was completed an hour ago, and is to live for a minute."""
    completed = {"status": {"completionTime": format_time(datetime.now(UTC) - timedelta(hours=1))}}
    here.run("patch", "ij", name, "--subresource=status", "--type=merge", "-p", json.dumps(completed))
    here.run("patch", "ij", name, "--type=merge", "-p", json.dumps({"spec": {"ttlSecondsAfterFinished": 60}}))


def warnings(here: Namespace, name: str) -> set[str]:
    events = [event for event in here.all("events") if event["involvedObject"]["name"] == name]
    return {event["reason"] for event in events if event["type"] == "Warning"}


def test_a_job_whose_time_is_over_becomes_a_row(
    job_cluster: JobCluster, here: Namespace, start: StartOperator, postgres: Postgres
) -> None:
    database = postgres.make_database()
    operator = start(database)
    completes(here, "job")
    uid = here.uid("ij", "job")

    has_outstayed_its_time(here, "job")
    eventually(lambda: here.get("ij", "job") == {}, "the resource is gone")

    row = database.psql("SELECT uid, namespace, name, phase, model, backend, input, total, succeeded FROM splai_jobs")
    assert row == f"{uid}|{here.name}|job|Completed|tiny-model|tiny|text|1|1"
    assert not (job_cluster.audit.with_name("artifacts") / here.name / str(uid) / "history.json").exists()
    assert "splai:splai@" not in operator.log.read_text(), "a password is in the log"


def test_while_the_database_is_away_the_job_stays_and_says_so_and_others_are_answered(
    here: Namespace, start: StartOperator, own_postgres: Postgres
) -> None:
    start(own_postgres)
    completes(here, "job")
    own_postgres.kill()

    has_outstayed_its_time(here, "job")
    eventually(lambda: "HistoryUnavailable" in warnings(here, "job"), "what keeps the job is told")
    completes(here, "other")
    assert here.phases() == {"job": "Completed", "other": "Completed"}

    own_postgres.start()
    eventually(lambda: here.get("ij", "job") == {}, "the resource is gone")
    assert own_postgres.psql("SELECT name, phase FROM splai_jobs") == "job|Completed"
