"""The operator's settings, from environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, cast, get_args

from splai import __version__
from splai.api.base import parse_duration
from splai.core.settings import OperatorSettings
from splai.engines.images import EngineImages
from splai.kube.lease import DURATION
from splai.tracing.environment import handed_on

PullPolicy = Literal["Always", "IfNotPresent", "Never"]


class SettingsInvalid(Exception):
    """A variable holds what it cannot; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one installation of the operator is told."""

    core: OperatorSettings
    namespace: str
    """Where the operator itself runs, and its Lease is."""
    watch_namespaces: tuple[str, ...] = ()
    """None: all."""
    artifacts_client_url: str
    """The artifact server as the operator reaches it."""
    artifacts_token_file: Path
    artifact_retention: timedelta
    """How long a job's folder is kept after its resource is gone."""
    policies_file: Path | None = None
    """The policies that jobs may name; None: there are none."""
    gateway_service: str = "splai-api-gateway"
    """The Service of the gateway, in ``namespace``: its pods are asked what autoscaling has to know."""
    lease_name: str = "splai-operator"
    lease_seconds: int = DURATION
    """How long another operator waits for one that does not answer any more."""
    reconcile_workers: int = 16
    health_port: int = 8081
    metrics_port: int = 9464

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], *, default_namespace: str) -> "Settings":
        """Read SPLAI_*; what is not set, or set to nothing, keeps its default.

        Raises SettingsInvalid, and TracingInvalid for OTEL_*, of which workers get a part.
        """

        def text(name: str, default: str) -> str:
            return environment.get(name) or default

        def number(name: str, default: int, *, lowest: int) -> int:
            value = text(name, str(default))
            if not value.isdecimal() or int(value) < lowest:
                raise SettingsInvalid(f"{name} is {value!r}: it must be a number of at least {lowest}")
            return int(value)

        namespace = text("SPLAI_NAMESPACE", default_namespace)
        artifacts_url = text("SPLAI_ARTIFACTS_URL", f"http://splai-artifacts.{namespace}.svc:8080")
        image = text("SPLAI_IMAGE", f"splai/splai:{__version__}")
        core = OperatorSettings(
            image=image,
            engine_images=EngineImages(
                llamacpp=text("SPLAI_LLAMACPP_IMAGE", f"splai/llamacpp:{__version__}"),
                vllm=text("SPLAI_VLLM_IMAGE", "vllm/vllm-openai:v0.12.0"),
                sglang=text("SPLAI_SGLANG_IMAGE", EngineImages.sglang),
                tgi=text("SPLAI_TGI_IMAGE", EngineImages.tgi),
                splai=image,
                ollama=text("SPLAI_OLLAMA_IMAGE", EngineImages.ollama),
            ),
            image_pull_policy=_pull_policy(text("SPLAI_IMAGE_PULL_POLICY", "IfNotPresent")),
            artifacts_url=artifacts_url,
            allow_private_urls=_flag("SPLAI_ALLOW_PRIVATE_URLS", text("SPLAI_ALLOW_PRIVATE_URLS", "false")),
            worker_variables=handed_on(environment),
            public_url=text("SPLAI_PUBLIC_URL", f"http://splai-api-gateway.{namespace}.svc:8080"),
        )
        policies_file = text("SPLAI_POLICIES_FILE", "")
        watched = (part.strip() for part in text("SPLAI_WATCH_NAMESPACES", "").split(","))
        return cls(
            core=core,
            namespace=namespace,
            watch_namespaces=tuple(part for part in watched if part),
            artifacts_client_url=text("SPLAI_ARTIFACTS_CLIENT_URL", artifacts_url),
            artifacts_token_file=Path(text("SPLAI_ARTIFACTS_TOKEN_FILE", "/var/run/secrets/splai/token")),
            artifact_retention=_retention(text("SPLAI_ARTIFACT_RETENTION", "720h")),
            policies_file=Path(policies_file) if policies_file else None,
            gateway_service=text("SPLAI_GATEWAY_SERVICE", cls.gateway_service),
            lease_name=text("SPLAI_LEASE_NAME", cls.lease_name),
            lease_seconds=number("SPLAI_LEASE_SECONDS", cls.lease_seconds, lowest=3),
            reconcile_workers=number("SPLAI_RECONCILE_WORKERS", cls.reconcile_workers, lowest=1),
            health_port=number("SPLAI_HEALTH_PORT", cls.health_port, lowest=1),
            metrics_port=number("SPLAI_METRICS_PORT", cls.metrics_port, lowest=1),
        )


def _pull_policy(value: str) -> PullPolicy:
    if value not in get_args(PullPolicy):
        raise SettingsInvalid(
            f"SPLAI_IMAGE_PULL_POLICY is {value!r}: it must be one of {', '.join(get_args(PullPolicy))}"
        )
    return cast("PullPolicy", value)


def _flag(name: str, value: str) -> bool:
    if value not in ("true", "false"):
        raise SettingsInvalid(f"{name} is {value!r}: it must be true or false")
    return value == "true"


def _retention(value: str) -> timedelta:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise SettingsInvalid(f"SPLAI_ARTIFACT_RETENTION is {value!r}: it must be a duration such as 720h") from error
