"""What people see of the resources with kubectl."""

from tests.integration.crds.manifests import Cluster, backend, job


def test_a_backend_can_be_scaled(cluster: Cluster) -> None:
    cluster.send("create", backend(name="scaled"))
    cluster.kubectl("scale", "-n", cluster.namespace, "modelbackend/scaled", "--replicas=3")
    replicas = cluster.kubectl("get", "-n", cluster.namespace, "mb", "scaled", "-o", "jsonpath={.spec.replicas}")
    assert replicas == "3"


def test_jobs_are_listed_with_what_one_wants_to_know_at_first_sight(cluster: Cluster) -> None:
    cluster.send("create", job(name="listed"))
    counts = {"succeeded": 3, "failed": 1, "total": 8, "progressPercent": 50}
    cluster.set_status("ij", "listed", phase="Running", backend="smol", **counts)
    header, row = cluster.kubectl("get", "-n", cluster.namespace, "ij", "listed").splitlines()
    assert header.split() == ["NAME", "PHASE", "MODEL", "BACKEND", "DONE", "FAILED", "TOTAL", "PERCENT", "AGE"]
    assert row.split()[:-1] == ["listed", "Running", "m", "smol", "3", "1", "8", "50"]


def test_backends_are_listed_with_why_they_are_not_ready(cluster: Cluster) -> None:
    cluster.send("create", backend(name="listed", replicas=1))
    times = {"lastTransitionTime": "2026-05-01T12:00:00Z"}
    condition = {"type": "Ready", "status": "False", "reason": "Unschedulable", "message": "no GPU", **times}
    cluster.set_status("mb", "listed", conditions=[condition], replicas=2, readyReplicas=0)
    header, row = cluster.kubectl("get", "-n", cluster.namespace, "mb", "listed").splitlines()
    assert header.split() == ["NAME", "MODEL", "ENGINE", "READY", "REASON", "REPLICAS", "ANSWERING", "AGE"]
    assert row.split()[:-1] == ["listed", "m", "LlamaCpp", "False", "Unschedulable", "2", "0"]


def test_the_category_lists_both_kinds(cluster: Cluster) -> None:
    cluster.send("create", job(name="of-the-category"))
    cluster.send("create", backend(name="of-the-category"))
    listed = cluster.kubectl("get", "splai", "-n", cluster.namespace, "-o", "name").split()
    assert "inferencejob.splai.dev/of-the-category" in listed
    assert "modelbackend.splai.dev/of-the-category" in listed


def test_explain_explains(cluster: Cluster) -> None:
    explained = " ".join(cluster.kubectl("explain", "inferencejob.spec.workers").split())
    assert "parallelism <integer> Worker pods at once; may change while the job runs." in explained
    assert "enum: Shared, Dedicated" in explained
