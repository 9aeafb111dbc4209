"""Policies come from a file: a bad one is refused at start, and later leaves the last good ones in place."""

import logging
from pathlib import Path

import pytest

from splai.controller.policies import READ_INTERVAL, PoliciesInvalid, PolicyFile, parse_policies


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_names_lead_to_policies() -> None:
    policies = parse_policies("enterprise-default: {model: m, defaults: {parallelism: 4}, limits: {maxRecords: 10}}")
    policy = policies["enterprise-default"]
    assert (policy.model, policy.defaults.parallelism, policy.limits.max_records) == ("m", 4, 10)


@pytest.mark.parametrize("text", ["", "{}", "# nothing\n"])
def test_there_may_be_none(text: str) -> None:
    assert parse_policies(text) == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "not valid YAML"),
        ("- a", "valid dictionary"),
        ("Upper: {}", "Upper"),
        ("a: {limits: {maxRecord: 1}}", "a.limits.maxRecord: Extra inputs are not permitted"),
        ("a: {limits: {max_records: 1}}", "a.limits.max_records: Extra inputs are not permitted"),
        ("a: {defaults: {completionWindow: soon}}", "a.defaults.completionWindow"),
        ("a: {defaults: {ttlSecondsAfterFinished: 1}}", "a.defaults.ttlSecondsAfterFinished"),
        ("a: {defaults: {failurePolicy: {maxFailedRecords: most}}}", "a.defaults.failurePolicy.maxFailedRecords: must"),
        ("a: {defaults: {failurePolicy: {maxFailedRecords: -1}}}", "a.defaults.failurePolicy.maxFailedRecords: must"),
        ("a: {defaults: {parallelism: 5}, limits: {maxParallelism: 4}}", "a.defaults.parallelism: is 5, the policy's"),
        ("a: {defaults: {concurrency: 5}, limits: {maxConcurrency: 4}}", "a.defaults.concurrency: is 5, the policy's"),
        ("a: {defaults: {priority: Batch!}}", "a.defaults.priority: String should match pattern"),
        ("a: {model: x, limits: {models: [y]}}", "a.model: x is not among limits.models"),
        ("a: {model: ''}", "a.model: String should have at least 1 character"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(PoliciesInvalid, match=problem.replace("[", r"\[")):
        parse_policies(text)


def test_without_a_file_there_are_no_policies() -> None:
    assert PolicyFile(None, clock=Clock()).current() == {}


def test_a_bad_file_at_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PoliciesInvalid, match="cannot be read"):
        PolicyFile(tmp_path / "missing.yaml", clock=Clock())


class TestChanges:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "policies.yaml"
        path.write_text("a: {}")
        return path

    def test_a_change_is_seen_after_a_while(self, path: Path) -> None:
        clock = Clock()
        policies = PolicyFile(path, clock=clock)
        path.write_text("b: {}")
        assert list(policies.current()) == ["a"]
        clock.now += READ_INTERVAL
        assert list(policies.current()) == ["b"]

    @pytest.mark.parametrize("damage", ["a: {limits: 5}", None])
    def test_a_bad_one_is_told_once_and_leaves_the_last_good_one(
        self, path: Path, damage: str | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        clock = Clock()
        policies = PolicyFile(path, clock=clock)
        path.write_text(damage) if damage else path.unlink()
        for _ in range(2):
            clock.now += READ_INTERVAL
            assert list(policies.current()) == ["a"]
        assert not policies.is_current
        assert [record.levelno for record in caplog.records] == [logging.ERROR]

    def test_it_is_current_again_once_it_is_mended(self, path: Path) -> None:
        clock = Clock()
        policies = PolicyFile(path, clock=clock)
        for text in ("nonsense", "a: {}"):
            path.write_text(text)
            clock.now += READ_INTERVAL
            policies.current()
        assert policies.is_current
