"""What an engine brings into a pod beside its own container: a backend's replica has it, and a Dedicated worker."""

from typing import Any

from splai.core.settings import OperatorSettings
from splai.engines import EnginePod

Object = dict[str, Any]


def fetch_containers(engine: EnginePod, settings: OperatorSettings) -> list[Object]:
    """Init containers of SPLAI's own image that fetch the weights, one after the other."""
    allowed = {"name": "SPLAI_ALLOW_PRIVATE_URLS", "value": "true" if settings.allow_private_urls else "false"}
    return [
        {
            **container,
            "image": settings.image,
            "imagePullPolicy": settings.image_pull_policy,
            "env": [*container.get("env", ()), allowed],
        }
        for container in engine.fetches
    ]
