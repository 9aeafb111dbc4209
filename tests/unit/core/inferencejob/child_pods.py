"""Looks into the bodies of child Jobs."""

from typing import Any


def pod_of(body: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = body["spec"]["template"]["spec"]
    return spec


def env_of(container: dict[str, Any]) -> dict[str, Any]:
    return {it["name"]: it.get("value", it.get("valueFrom")) for it in container["env"]}


def volume_of(pod: dict[str, Any], path: str) -> dict[str, Any]:
    """The volume that the first container sees at ``path``, with the mount's own fields beside it."""
    (mount,) = [it for it in pod["containers"][0]["volumeMounts"] if it["mountPath"] == path]
    (volume,) = [it for it in pod["volumes"] if it["name"] == mount["name"]]
    return {**volume, "mount": {key: value for key, value in mount.items() if key not in ("name", "mountPath")}}
