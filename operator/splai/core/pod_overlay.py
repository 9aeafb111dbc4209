"""A user's PodTemplate on a pod that SPLAI makes; for backends and for worker Jobs the same.

What is a map or is keyed by a name is merged key by key and the template wins, SPLAI's own labels and annotations
apart; other lists grow; single values are replaced. Overlays stack: a Dedicated worker's pod gets the backend's
template and then the job's.
"""

from copy import deepcopy
from typing import Any

from splai.api.pod_template import PodTemplate

Object = dict[str, Any]

_REPLACED = (
    "affinity",
    "priorityClassName",
    "runtimeClassName",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
)
_APPENDED = ("tolerations", "topologySpreadConstraints")


def overlay_pod(pod: Object, template: PodTemplate | None, *, container: str) -> Object:
    """The pod (``metadata`` and ``spec``) with the template on it; env, resources and mounts go to ``container``."""
    if template is None:
        return pod
    wanted = template.to_wire()
    pod = deepcopy(pod)
    metadata, spec = pod.setdefault("metadata", {}), pod["spec"]
    for field in ("labels", "annotations"):
        if field in wanted:
            metadata[field] = wanted[field] | metadata.get(field, {})
    if "nodeSelector" in wanted:
        spec["nodeSelector"] = spec.get("nodeSelector", {}) | wanted["nodeSelector"]
    for field in _REPLACED:
        if field in wanted:
            spec[field] = wanted[field]
    for field in _APPENDED:
        if field in wanted:
            spec[field] = [*spec.get(field, []), *(item for item in wanted[field] if item not in spec.get(field, []))]
    for field in ("imagePullSecrets", "volumes"):
        _merge_list(spec, wanted, field, key="name")
    main = find_container(spec, container)
    _merge_list(main, wanted, "env", key="name")
    _merge_list(main, wanted, "volumeMounts", key="mountPath")
    _merge_resources(main, wanted.get("resources", {}))
    return pod


def find_container(pod_spec: Object, name: str) -> Object:
    """The container of that name, which may be a native sidecar and so an init container."""
    containers = [*pod_spec.get("containers", []), *pod_spec.get("initContainers", [])]
    found: Object = next(container for container in containers if container["name"] == name)
    return found


def _merge_list(target: Object, wanted: Object, field: str, *, key: str) -> None:
    if field in wanted:
        merged = {item[key]: item for item in (*target.get(field, ()), *wanted[field])}
        target[field] = list(merged.values())


def _merge_resources(container: Object, wanted: Object) -> None:
    resources = container.get("resources", {})
    for field, quantities in wanted.items():
        resources[field] = resources.get(field, {}) | {name: str(value) for name, value in quantities.items()}
    if resources:
        container["resources"] = resources
