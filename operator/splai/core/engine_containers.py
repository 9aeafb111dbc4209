"""What an engine brings into a pod: into a backend's replica, and beside a Dedicated worker."""

from typing import Any

from splai.api.model_backend import ModelBackend
from splai.core.settings import OperatorSettings
from splai.engines import EnginePod, engine_pod

Object = dict[str, Any]


def engine_of(backend: ModelBackend, settings: OperatorSettings) -> EnginePod:
    """The pieces of a pod that serve the backend's model, with the installation's images."""
    return engine_pod(backend.spec, settings.engine_images, allow_private_urls=settings.allow_private_urls)


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
