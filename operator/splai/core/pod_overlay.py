"""Lays users' pod templates over the pods that SPLAI makes: backends' replicas and jobs' workers alike.

Several templates lie in order, a later one wins: in a Dedicated worker the backend's comes first, then the job's.
Maps merge key by key, named lists entry by entry, plain lists grow, everything else is replaced.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from splai.api.pod_template import PodTemplate

Object = dict[str, Any]


def overlay_pod(pod: Object, templates: Sequence[PodTemplate | None], *, container: str) -> Object:
    """The pod template ``pod`` under ``templates``; env, resources and volumeMounts go to ``container``.

    The labels that ``pod`` has already are SPLAI's own and stay as they are.
    """
    metadata, spec = dict(pod["metadata"]), dict(pod["spec"])
    labels = metadata.get("labels", {})
    for template in templates:
        if template is not None:
            wire = template.to_wire()
            for field in ("labels", "annotations"):
                if field in wire:
                    metadata[field] = {**metadata.get(field, {}), **wire.pop(field)}
            main = {field: wire.pop(field) for field in _CONTAINER_FIELDS if field in wire}
            _merge(spec, wire)
            _merge_container(spec, container, main)
    metadata["labels"] = {**metadata.get("labels", {}), **labels}
    return {"metadata": metadata, "spec": spec}


def with_default_requests(pod: Object, defaults: Mapping[str, str], *, container: str) -> Object:
    """The pod template, and what ``container`` asks for of the resources that it has neither request nor limit of."""
    spec = dict(pod["spec"])
    for group in ("initContainers", "containers"):
        if group in spec:
            spec[group] = [_asking(it, defaults) if it["name"] == container else it for it in spec[group]]
    return {**pod, "spec": spec}


def _asking(container: Object, defaults: Mapping[str, str]) -> Object:
    resources = container.get("resources", {})
    said = {**resources.get("limits", {}), **resources.get("requests", {})}
    missing = {name: amount for name, amount in defaults.items() if name not in said}
    if not missing:
        return container
    return {**container, "resources": {**resources, "requests": {**resources.get("requests", {}), **missing}}}


def _merge_container(spec: Object, name: str, fields: Object) -> None:
    for group in ("initContainers", "containers"):
        if group in spec:
            spec[group] = [_merged(it, fields) if it["name"] == name else it for it in spec[group]]


def _merged(target: Object, fields: Object) -> Object:
    result = dict(target)
    _merge(result, fields)
    return result


def _merge(target: Object, fields: Mapping[str, Any]) -> None:
    for field, value in fields.items():
        merge = _MERGES.get(field)
        target[field] = merge(target[field], value) if merge and field in target else value


def _by(key: str) -> Callable[[list[Object], list[Object]], list[Object]]:
    """Entries with the same ``key`` are replaced in place, new ones are added behind."""
    return lambda old, new: list({entry[key]: entry for entry in (*old, *new)}.values())


def _keys(old: Object, new: Object) -> Object:
    return {**old, **new}


def _resources(old: Object, new: Object) -> Object:
    merges: Mapping[str, Callable[[Any, Any], Any]] = {"limits": _keys, "requests": _keys, "claims": _by("name")}
    return {
        kind: merge(old[kind], new[kind]) if kind in old and kind in new else (old | new)[kind]
        for kind, merge in merges.items()
        if kind in old | new
    }


_CONTAINER_FIELDS = ("env", "resources", "volumeMounts")
_MERGES: Mapping[str, Callable[[Any, Any], Any]] = {
    "nodeSelector": _keys,
    "tolerations": lambda old, new: [*old, *new],
    "imagePullSecrets": _by("name"),
    "resourceClaims": _by("name"),
    "volumes": _by("name"),
    "env": _by("name"),
    "volumeMounts": _by("mountPath"),
    "resources": _resources,
}
