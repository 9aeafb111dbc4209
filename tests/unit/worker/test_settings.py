"""The worker's environment."""

import pytest

from splai.worker.settings import SettingsInvalid, WorkerSettings

ENVIRONMENT = {
    "SPLAI_ARTIFACTS_URL": "http://artifacts",
    "SPLAI_ARTIFACTS_TOKEN_FILE": "/token",
    "SPLAI_JOB_NAMESPACE": "team",
    "SPLAI_JOB_UID": "uid",
    "SPLAI_CHILD_JOB": "job-2",
    "SPLAI_POD_NAME": "job-2-3-abcde",
    "SPLAI_POD_UID": "7777",
    "JOB_COMPLETION_INDEX": "3",
}


def test_a_worker_is_named_after_its_child_job_index_and_pod() -> None:
    identity = WorkerSettings.from_environment(ENVIRONMENT).identity
    assert identity.worker == "job-2-3-7777"
    assert identity.place == "job-2-3-"


def test_a_job_without_indexes_is_index_0_and_closes_nothing() -> None:
    settings = WorkerSettings.from_environment(ENVIRONMENT | {"JOB_COMPLETION_INDEX": ""})
    assert settings.identity.index == 0
    assert settings.closing_code == ""


@pytest.mark.parametrize("name", sorted(ENVIRONMENT.keys() - {"JOB_COMPLETION_INDEX", "SPLAI_POD_NAME"}))
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"{name} is not set"):
        WorkerSettings.from_environment({key: value for key, value in ENVIRONMENT.items() if key != name})


def test_an_index_must_be_a_number() -> None:
    with pytest.raises(SettingsInvalid, match="JOB_COMPLETION_INDEX is 'x'"):
        WorkerSettings.from_environment(ENVIRONMENT | {"JOB_COMPLETION_INDEX": "x"})
