"""Every permission the operator uses, to be asked for at start. The chart's roles grant exactly these."""

from collections.abc import Iterator

from splai.kube.access import Rule
from splai.kube.resource import (
    CONFIG_MAPS,
    CORE_EVENTS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    EVENTS,
    INFERENCE_JOBS,
    JOBS,
    LEADER_WORKER_SETS,
    LEASES,
    MODEL_BACKENDS,
    PODS,
    SERVICES,
    WORKLOADS,
)


def rules(*, namespace: str, lease: str) -> Iterator[Rule]:
    """In the operator's own namespace only the Lease and the gateway's pods; the rest in every watched one."""
    for own in (INFERENCE_JOBS, MODEL_BACKENDS):
        yield from (Rule(verb, own) for verb in ("list", "watch"))
        yield Rule("patch", own, "status")
        yield Rule("update", own, "finalizers")  # asked of those who set blockOwnerDeletion
    yield Rule("delete", INFERENCE_JOBS)  # those whose time to live is over
    for child in (DEPLOYMENTS, SERVICES, JOBS):
        yield from (Rule(verb, child) for verb in ("get", "list", "watch", "create", "patch"))
    # Not watched, because it need not be installed; RBAC allows what there is not.
    yield from (Rule(verb, LEADER_WORKER_SETS) for verb in ("get", "list", "create", "patch"))
    yield Rule("delete", JOBS)  # the others go with their owner
    # But for a backend that goes from one to several nodes, or back: its replicas move from one to the other.
    yield from (Rule("delete", workload) for workload in (DEPLOYMENTS, LEADER_WORKER_SETS))
    yield from (Rule(verb, PODS) for verb in ("list", "watch"))
    yield Rule("get", CONFIG_MAPS)
    yield Rule("create", EVENTS)
    yield Rule("list", CORE_EVENTS)  # why a Job has no pods
    yield Rule("list", WORKLOADS)  # why Kueue holds a Job back
    yield Rule("create", LEASES, namespace=namespace)
    yield from (Rule(verb, LEASES, namespace=namespace, name=lease) for verb in ("get", "update"))
    yield Rule("list", ENDPOINT_SLICES, namespace=namespace)  # whom to ask what is asked of the backends
