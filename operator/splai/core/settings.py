"""What the decisions need to know about the installation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from splai.api.policy import Policy
from splai.engines.images import EngineImages


@dataclass(frozen=True, kw_only=True)
class OperatorSettings:
    """Images and addresses that go into the objects SPLAI makes."""

    image: str
    """SPLAI's own image: what the workers run."""
    engine_images: EngineImages
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    artifacts_url: str = "http://splai-artifacts.splai-system.svc:8080"
    """The artifact server as worker pods reach it."""
    public_url: str = "http://splai-api-gateway.splai-system.svc:8080"
    """The gateway as users reach it: the base of every URI in a status."""
    policies: Mapping[str, Policy] = field(default_factory=dict)
    """By the name that a job's ``spec.policy`` gives."""
    worker_variables: Mapping[str, str] = field(default_factory=dict)
    """Further ones for worker pods, which are in any namespace: no secrets."""
    allow_private_urls: bool = False
    """Whether the URL of an input or of a provider may lead to the node itself, or to its cloud's metadata service."""
