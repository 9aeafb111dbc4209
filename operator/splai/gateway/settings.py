"""What the gateway is told by its environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class GatewaySettings:
    """Defaults are those of the installed gateway."""

    namespaces: tuple[str, ...] = ()
    """The namespaces whose backends are served; empty means all."""
    port: int = 8080
    metrics_port: int = 9464
    artifacts_url: str = "http://splai-artifacts.splai-system.svc:8080"
    artifacts_token_file: Path = Path("/var/run/secrets/splai/token")
    log_level: str = "INFO"
    title: str = "SPLAI Inference Gateway"
    """What the API calls itself in its root document and its documentation."""
    description: str = "OpenAI-compatible API for the models of a Kubernetes cluster"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "GatewaySettings":
        """Raises ValueError that names the variable."""
        namespaces = environment.get("SPLAI_WATCH_NAMESPACES", "").split(",")
        return cls(
            namespaces=tuple(dict.fromkeys(name.strip() for name in namespaces if name.strip())),
            port=_port(environment, "SPLAI_GATEWAY_PORT", cls.port),
            metrics_port=_port(environment, "SPLAI_METRICS_PORT", cls.metrics_port),
            artifacts_url=environment.get("SPLAI_ARTIFACTS_CLIENT_URL") or cls.artifacts_url,
            artifacts_token_file=Path(environment.get("SPLAI_ARTIFACTS_TOKEN_FILE") or cls.artifacts_token_file),
            log_level=environment.get("SPLAI_LOG_LEVEL") or cls.log_level,
            title=environment.get("SPLAI_GATEWAY_TITLE") or cls.title,
            description=environment.get("SPLAI_GATEWAY_DESCRIPTION") or cls.description,
        )


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not 0 <= int(text) <= 65535:
        raise ValueError(f"{name} must be a port number, not {text!r}")
    return int(text)
