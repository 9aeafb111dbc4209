"""Argo CD's view of jobs and backends: the upstream test files of each customization, and what they leave out."""

import copy
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from splai.api.inference_job import TERMINAL_PHASES, InferenceJob, JobPhase
from splai.api.model_backend import ModelBackend
from splai.core.inferencejob.plan import plan
from splai.core.inferencejob.verdicts import SUMMARY, TABLE
from tests.unit.argo_cd.sandbox import act, discover, health
from tests.unit.core.builders import NOW, make_job, make_snapshot

CUSTOMIZATIONS = Path(__file__).parents[3] / "manifests" / "argo-cd" / "resource_customizations" / "splai.dev"
KINDS: dict[str, type[InferenceJob] | type[ModelBackend]] = {"InferenceJob": InferenceJob, "ModelBackend": ModelBackend}
JOB = CUSTOMIZATIONS / "InferenceJob"
ACTIONS = JOB / "actions"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def health_tests() -> list[Any]:
    return [
        pytest.param(kind, test["inputPath"], test["healthStatus"], id=f"{kind}-{Path(test['inputPath']).stem}")
        for kind in KINDS
        for test in load(CUSTOMIZATIONS / kind / "health_test.yaml")["tests"]
    ]


def discovery_tests() -> list[Any]:
    return [
        pytest.param(test["inputPath"], test["result"], id=Path(test["inputPath"]).stem)
        for test in load(ACTIONS / "action_test.yaml")["discoveryTests"]
    ]


def action_tests() -> list[Any]:
    return [
        pytest.param(test["action"], test["inputPath"], test["expectedOutputPath"], id=test["action"])
        for test in load(ACTIONS / "action_test.yaml")["actionTests"]
    ]


def script(action: str) -> str:
    return (ACTIONS / action / "action.lua").read_text()


def samples(kind: str = "InferenceJob") -> list[Path]:
    return sorted((CUSTOMIZATIONS / kind / "testdata").glob("*.yaml"))


@pytest.mark.parametrize(("kind", "path", "expected"), health_tests())
def test_health(kind: str, path: str, expected: dict[str, str]) -> None:
    folder = CUSTOMIZATIONS / kind

    assert health((folder / "health.lua").read_text(), load(folder / path)) == expected


@pytest.mark.parametrize(("path", "expected"), discovery_tests())
def test_actions_are_offered_where_they_make_sense(path: str, expected: list[dict[str, Any]]) -> None:
    offered = discover((ACTIONS / "discovery.lua").read_text(), load(ACTIONS / path))

    assert offered == sorted(expected, key=lambda action: str(action["name"]))


@pytest.mark.parametrize(("action", "before", "after"), action_tests())
def test_action(action: str, before: str, after: str) -> None:
    _, result = act(script(action), load(ACTIONS / before))

    assert result == load(ACTIONS / after)


@pytest.mark.parametrize(("action", "change"), [("suspend", {"suspend": True}), ("cancel", {"cancel": True})])
def test_a_patch_changes_one_field_and_leaves_empty_maps_alone(action: str, change: dict[str, bool]) -> None:
    job = load(JOB / "testdata" / "running.yaml")
    job["spec"]["parameters"] = {}
    job["spec"]["workers"]["template"] = {"volumes": [{"name": "cache", "emptyDir": {}}]}

    operation, result = act(script(action), copy.deepcopy(job))

    assert operation == "patch"
    assert result == {**job, "spec": {**job["spec"], **change}}


def test_retrying_creates_a_job_that_argo_cd_does_not_take_for_its_own() -> None:
    operation, result = act(script("retry-failed"), load(ACTIONS / "testdata" / "partly_failed.yaml"))

    assert operation == "create"
    assert result["metadata"].keys() == {"name", "namespace", "labels"}
    assert "app.kubernetes.io/instance" not in result["metadata"]["labels"]
    InferenceJob.model_validate(result)


@pytest.mark.parametrize(("length", "disabled"), [(43, False), (44, True)])
def test_retrying_is_offered_only_if_the_new_name_fits(length: int, disabled: bool) -> None:
    job = load(JOB / "testdata" / "failed.yaml")
    job["metadata"]["name"] = "a" * length

    offered = {it["name"]: it for it in discover((ACTIONS / "discovery.lua").read_text(), job)}
    _, result = act(script("retry-failed"), job)

    assert offered["retry-failed"]["disabled"] is disabled
    assert (len(result["metadata"]["name"]) > 52) is disabled


@pytest.mark.parametrize("kind", KINDS)
def test_every_sample_is_tested(kind: str) -> None:
    tested = {Path(test["inputPath"]).name for test in load(CUSTOMIZATIONS / kind / "health_test.yaml")["tests"]}

    assert {path.name for path in samples(kind)} == tested


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_resources_of_today(kind: str) -> None:
    for path in samples(kind):
        body = load(path)
        KINDS[kind].model_validate({name: body[name] for name in ("metadata", "spec", "status")}, extra="forbid")


def test_there_is_a_sample_of_every_phase_and_it_has_the_conditions_that_the_operator_writes() -> None:
    fresh = plan(make_snapshot(make_job()), NOW).status
    constant = {condition.type for condition in fresh.conditions}
    statuses = [load(path)["status"] for path in samples()]

    for status in statuses:
        if "phase" in status:
            conditions = {condition["type"]: condition["status"] for condition in status["conditions"]}
            assert conditions.keys() == constant
            assert tuple(conditions[name] for name in SUMMARY) == TABLE[status["phase"]]
    assert {status.get("phase") for status in statuses} == {None, *get_args(JobPhase)}


@pytest.mark.parametrize("phase", get_args(JobPhase))
def test_a_wave_goes_on_only_when_the_answers_are_there(phase: str) -> None:
    job = load(JOB / "testdata" / "running.yaml")
    job["status"]["phase"] = phase

    status = health((JOB / "health.lua").read_text(), job)["status"]

    assert (status == "Healthy") is (phase == "Completed")
    assert (status in {"Healthy", "Degraded"}) is (phase in TERMINAL_PHASES)


def test_a_phase_that_is_not_known_yet_is_waited_for() -> None:
    job = load(JOB / "testdata" / "running.yaml")
    job["status"]["phase"] = "Dreaming"

    assert health((JOB / "health.lua").read_text(), job)["status"] == "Progressing"
