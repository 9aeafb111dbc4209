"""The LeaderWorkerSet that runs replicas of several nodes: https://lws.sigs.k8s.io

::

    replica 0:  <name>-nodes-0  ◀─── <name>-nodes-0-1, <name>-nodes-0-2, …
                leader: answers      the other nodes: no Service finds them
    replica 1:  <name>-nodes-1  ◀─── …

A replica is a group of pods that start, fail and are replaced together: an engine that lost one of its nodes can only
begin again. The set has a name of its own because its controller makes a headless Service of the set's name, and the
backend's Service, which is none, has the backend's.
"""

from dataclasses import replace
from typing import Any

from splai.api.model_backend import ModelBackend
from splai.core.content_hash import content_hash
from splai.core.engine_containers import engine_of
from splai.core.modelbackend.deployment import pod_template
from splai.core.modelbackend.rollout import rolling_update, strategy
from splai.core.observed import OTHER_NODE, REVISION_LABEL
from splai.core.ownership import child_labels, child_metadata
from splai.core.settings import OperatorSettings

Object = dict[str, Any]

API_VERSION = "leaderworkerset.x-k8s.io/v1"
KIND = "LeaderWorkerSet"


def set_name(backend: str) -> str:
    """At most 48 characters, as the CRD limits the backend's: Kubernetes puts more behind the name of a StatefulSet."""
    return f"{backend}-nodes"


def build_leader_worker_set(backend: ModelBackend, settings: OperatorSettings) -> Object:
    """Changes to anything but ``replicas`` and the rollout itself are a new revision."""
    engine = engine_of(backend, settings)
    others = replace(engine, container=engine.other_nodes or engine.container, metrics=None)
    leader = pod_template(backend, settings, engine, "engine")
    worker = pod_template(backend, settings, others, OTHER_NODE)
    size = backend.spec.resources.nodes
    revision = content_hash([size, leader, worker])
    for template in (leader, worker):
        template["metadata"]["labels"][REVISION_LABEL] = revision
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": child_metadata(backend, set_name(backend.metadata["name"]), child_labels(backend, "engine")),
        "spec": {
            "replicas": backend.spec.replicas,
            "startupPolicy": "LeaderCreated",
            **strategy(KIND, rolling_update(backend.spec.rollout)),
            "leaderWorkerTemplate": {
                "size": size,
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": leader,
                "workerTemplate": worker,
            },
        },
    }
