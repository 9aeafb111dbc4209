"""What may change while a job lives, and what the work was planned from and so may not."""

from typing import Any

import pytest

from tests.integration.crds.manifests import BACKEND, JOB, KEY, Cluster, backend, contains, job, manifest, name_of
from tests.integration.running_control_plane import KubectlError

FULL_JOB = job(
    input={"items": ["a", {"b": {"c": 1}}]},
    prompt={"template": "{{ text }}"},
    parameters={"max_tokens": 8, "stop": [{"x": 1}]},
    output={"s3": {"uri": "s3://bucket/answers"}},
    workers={"parallelism": 4, "minParallelism": 2, "template": {"nodeSelector": {"gpu": "l4"}}},
    policy="enterprise-default",
    priority="batch",
    failurePolicy={"maxFailedRecords": "5%"},
    completionWindow="24h",
    ttlSecondsAfterFinished=3600,
)["spec"]

OTHER_TEMPLATE = {"nodeSelector": {"gpu": "a100"}}
SUSPEND_FIRST = "workers.template is immutable unless the job is suspended"
PRIORITY_STAYS = "spec.priority is immutable once a worker has run"
ONE_WAY = "cancel is one-way"
DECIDED_BY_AUTOSCALING = (
    "replicas cannot be changed while autoscaling decides: change autoscaling.minReplicas or maxReplicas"
)

# (what is changed in FULL_JOB, what the apiserver says about it)
FROZEN: list[tuple[dict[str, Any], str]] = [
    ({"type": "completion"}, "type is immutable"),
    ({"model": "other"}, "model is immutable"),
    ({"policy": "other"}, "policy is immutable"),
    ({"policy": None}, "policy is immutable"),
    ({"model": None, "backendRef": {"name": "b"}}, "backendRef is immutable"),
    ({"input": {"items": ["b", {"b": {"c": 1}}]}}, "input is immutable"),
    ({"input": {"items": ["a", {"b": {"c": 2}}]}}, "input is immutable"),
    ({"input": {"items": ["a", {"z": {"c": 1}}]}}, "input is immutable"),
    ({"input": {"items": ["a", {"b": {"z": 1}}]}}, "input is immutable"),
    ({"input": {"items": ["a", {"b": {"c": 1, "z": 1}}]}}, "input is immutable"),
    ({"input": {"items": ["a", {"b": {}}]}}, "input is immutable"),
    ({"input": {"items": ["a", {}]}}, "input is immutable"),
    ({"input": {"items": ["a", {"b": {"c": 1}, "d": None}]}}, "input is immutable"),
    ({"input": {"items": ["a"]}}, "input is immutable"),
    ({"input": {"text": "a"}}, "input is immutable"),
    ({"input": {"configMap": KEY}}, "input is immutable"),
    ({"input": FULL_JOB["input"] | {"format": "jsonl"}}, "input is immutable"),
    ({"input": FULL_JOB["input"] | {"limit": 1}}, "input is immutable"),
    ({"output": {"s3": {"uri": "s3://bucket/elsewhere"}}}, "output is immutable"),
    ({"output": {"s3": {"uri": "s3://bucket/answers", "secretRef": {"name": "s"}}}}, "output is immutable"),
    ({"output": FULL_JOB["output"] | {"format": "parquet"}}, "output is immutable"),
    ({"output": FULL_JOB["output"] | {"order": "completion"}}, "output is immutable"),
    ({"output": {}}, "output is immutable"),
    ({"prompt": {"template": "{{ other }}"}}, "prompt is immutable"),
    ({"prompt": None}, "prompt is immutable"),
    ({"parameters": {"max_tokens": 9, "stop": [{"x": 1}]}}, "parameters are immutable"),
    ({"parameters": {"max_tokens": 8, "stop": [{"y": 1}]}}, "parameters are immutable"),
    ({"parameters": {"max_tokens": 8, "stop": [{"x": 1, "y": 1}]}}, "parameters are immutable"),
    ({"parameters": {"renamed": 8, "stop": [{"x": 1}]}}, "parameters are immutable"),
    ({"parameters": {}}, "parameters are immutable"),
    ({"workers": FULL_JOB["workers"] | {"mode": "Dedicated"}}, "workers.mode is immutable"),
    ({"workers": FULL_JOB["workers"] | {"concurrency": 1}}, "workers.concurrency is immutable"),
    ({"workers": FULL_JOB["workers"] | {"minParallelism": 1}}, "workers.minParallelism is immutable"),
    ({"workers": FULL_JOB["workers"] | {"dispatchOrder": "Prefix"}}, "workers.dispatchOrder is immutable"),
    ({"workers": FULL_JOB["workers"] | {"template": OTHER_TEMPLATE}}, SUSPEND_FIRST),
    ({"workers": {"parallelism": 4, "minParallelism": 2}}, SUSPEND_FIRST),
    (
        {"workers": FULL_JOB["workers"] | {"parallelism": 1}},
        "workers.minParallelism must not be more than workers.parallelism",
    ),
    ({"retry": {"maxAttempts": 1}}, "retry is immutable"),
    ({"requestTimeoutSeconds": 1}, "requestTimeoutSeconds is immutable"),
    ({"backoffLimit": 1}, "backoffLimit is immutable"),
    ({"failurePolicy": {"maxFailedRecords": "6%"}}, "failurePolicy is immutable"),
    ({"failurePolicy": {"maxFailedRecords": 5}}, "failurePolicy is immutable"),
    ({"failurePolicy": None}, "failurePolicy is immutable"),
    ({"completionWindow": "25h"}, "completionWindow is immutable"),
    ({"completionWindow": None}, "completionWindow is immutable"),
    ({"activeDeadlineSeconds": 60}, "activeDeadlineSeconds is immutable"),
    ({"ttlSecondsAfterFinished": 59}, "should be greater than or equal to 60"),
]


@pytest.fixture(scope="module")
def running_job(cluster: Cluster) -> dict[str, Any]:
    """A job in the cluster, whose spec some tests try to change."""
    return cluster.send("create", manifest("InferenceJob", FULL_JOB, name="running"))


@pytest.mark.parametrize(("change", "words"), FROZEN, ids=name_of)
def test_what_the_work_was_planned_from_cannot_change(
    cluster: Cluster, running_job: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    spec = {field: value for field, value in (FULL_JOB | change).items() if value is not None}
    with pytest.raises(KubectlError) as refused:
        cluster.send("replace", running_job | {"spec": spec}, "--dry-run=server")
    assert words in str(refused.value)


FREE: list[dict[str, Any]] = [
    {},
    {"workers": FULL_JOB["workers"] | {"parallelism": 7}},
    {"cancel": True},
    {"suspend": True},
    {"ttlSecondsAfterFinished": 60},
    {"priority": "interactive"},
]


@pytest.mark.parametrize("change", FREE, ids=name_of)
def test_what_the_work_does_not_depend_on_may_change(
    cluster: Cluster, running_job: dict[str, Any], change: dict[str, Any]
) -> None:
    changed = cluster.send("replace", running_job | {"spec": FULL_JOB | change}, "--dry-run=server")
    assert contains(changed["spec"], change)


def test_a_cancelled_job_stays_cancelled(cluster: Cluster) -> None:
    cancelled = cluster.send("create", job(name="cancelled", cancel=True))
    with pytest.raises(KubectlError, match=ONE_WAY):
        cluster.send("replace", cancelled | {"spec": JOB | {"cancel": False}}, "--dry-run=server")


@pytest.mark.parametrize(
    ("before", "after"),
    [(True, True), (False, True), (True, False)],
    ids=["while suspended", "with the suspension", "with the resumption"],
)
@pytest.mark.parametrize("template", [OTHER_TEMPLATE, None], ids=["another", "none"])
def test_the_template_may_change_around_a_suspension(
    cluster: Cluster, before: bool, after: bool, template: dict[str, Any] | None
) -> None:
    made = job(suspend=before, workers={"template": {"nodeSelector": {"gpu": "l4"}}})
    made["metadata"] = {"generateName": "template-"}
    existing = cluster.send("create", made)
    workers = {"template": template} if template else {}

    changed = cluster.send("replace", existing | {"spec": JOB | {"suspend": after, "workers": workers}})

    assert changed["spec"]["suspend"] is after
    assert changed["spec"]["workers"].get("template") == template


class TestPriority:
    def start(self, cluster: Cluster, name: str, start_time: str | None) -> dict[str, Any]:
        """A job of priority batch whose status says when its workers first ran."""
        cluster.send("create", job(name=name, priority="batch"))
        cluster.set_status("ij", name, startTime="2026-05-01T12:00:00Z")
        if start_time is None:
            cluster.set_status("ij", name, startTime=None)
        return cluster.get("ij", name)

    @pytest.mark.parametrize("change", [{"priority": "interactive"}, {}], ids=["another", "none"])
    def test_it_stays_once_a_worker_has_run(self, cluster: Cluster, change: dict[str, str]) -> None:
        started = self.start(cluster, "started" + "-none" * (not change), "2026-05-01T12:00:00Z")
        with pytest.raises(KubectlError, match=PRIORITY_STAYS):
            cluster.send("replace", started | {"spec": JOB | change}, "--dry-run=server")

    def test_it_may_change_again_after_a_suspension(self, cluster: Cluster) -> None:
        suspended = self.start(cluster, "suspended", None)
        changed = cluster.send("replace", suspended | {"spec": JOB | {"priority": "interactive"}}, "--dry-run=server")
        assert changed["spec"]["priority"] == "interactive"


@pytest.mark.parametrize(
    "largest",
    [
        {"items": ["a" * 3] * 10000},
        {"items": [{"a": {"b": [number]}} for number in range(4000)]},
        {"text": "a" * 65536},
    ],
    ids=["items", "nested items", "text"],
)
def test_comparing_the_largest_input_is_not_too_expensive(cluster: Cluster, largest: dict[str, Any]) -> None:
    made = job(input=largest)
    made["metadata"] = {"generateName": "large-"}
    existing = cluster.send("create", made)

    changed = cluster.send("replace", existing | {"spec": made["spec"] | {"workers": {"parallelism": 2}}})

    assert changed["spec"]["workers"]["parallelism"] == 2


class TestReplicas:
    def elastic(self, cluster: Cluster, name: str) -> dict[str, Any]:
        return cluster.send("create", backend(name=name, replicas=1, autoscaling={"maxReplicas": 4}))

    def test_they_stay_while_autoscaling_decides(self, cluster: Cluster) -> None:
        existing = self.elastic(cluster, "elastic")
        spec = existing["spec"] | {"replicas": 2}
        with pytest.raises(KubectlError, match=DECIDED_BY_AUTOSCALING):
            cluster.send("replace", existing | {"spec": spec}, "--dry-run=server")

    def test_scale_is_refused_with_the_same_words(self, cluster: Cluster) -> None:
        self.elastic(cluster, "scaled-elastic")
        with pytest.raises(KubectlError, match=DECIDED_BY_AUTOSCALING):
            cluster.kubectl("scale", "-n", cluster.namespace, "modelbackend/scaled-elastic", "--replicas=3")

    def test_they_may_change_when_autoscaling_comes_or_goes(self, cluster: Cluster) -> None:
        existing = self.elastic(cluster, "coming-and-going")
        fixed = cluster.send("replace", existing | {"spec": BACKEND | {"replicas": 3}})
        again = cluster.send("replace", fixed | {"spec": BACKEND | {"replicas": 0, "autoscaling": {"maxReplicas": 2}}})
        assert (fixed["spec"]["replicas"], again["spec"]["replicas"]) == (3, 0)

    def test_its_bounds_may_change(self, cluster: Cluster) -> None:
        existing = self.elastic(cluster, "bounds")
        spec = existing["spec"] | {"autoscaling": {"minReplicas": 2, "maxReplicas": 8}}
        assert cluster.send("replace", existing | {"spec": spec})["spec"]["autoscaling"]["maxReplicas"] == 8
