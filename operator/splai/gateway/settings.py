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
    token_file: Path | None = None
    """Holds the bearer token that callers must show; None lets everybody in."""
    max_in_flight: int = 10_000
    """Requests to models that this process works on at a time; more are refused with status 503."""
    max_held: int = 1_000
    """Requests that wait at a time for backends without replicas."""
    max_hold_seconds: int = 60
    cache_bytes: int = 64 * 1024 * 1024
    """For the answers of backends that ask for a cache, unless they are kept in Redis."""
    redis_url: str = ""
    access_log: bool = True
    log_level: str = "INFO"
    title: str = "SPLAI Inference Gateway"
    """What the API calls itself in its root document and its documentation."""
    description: str = "OpenAI-compatible API for the models of a Kubernetes cluster"

    def token(self) -> str:
        """The bearer token, "" where none is needed; raises ValueError or OSError for a file that holds none."""
        if self.token_file is None:
            return ""
        token = self.token_file.read_text().strip()
        if not token:  # which must not be taken for "none is needed"
            raise ValueError(f"SPLAI_GATEWAY_TOKEN_FILE: {self.token_file} holds no token")
        return token

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
            token_file=Path(file) if (file := environment.get("SPLAI_GATEWAY_TOKEN_FILE")) else None,
            max_in_flight=_count(environment, "SPLAI_GATEWAY_MAX_IN_FLIGHT", cls.max_in_flight),
            max_held=_count(environment, "SPLAI_GATEWAY_MAX_HELD", cls.max_held),
            max_hold_seconds=_count(environment, "SPLAI_GATEWAY_MAX_HOLD_SECONDS", cls.max_hold_seconds),
            cache_bytes=_count(environment, "SPLAI_GATEWAY_CACHE_BYTES", cls.cache_bytes),
            redis_url=_redis_url(environment),
            access_log=_switch(environment, "SPLAI_GATEWAY_ACCESS_LOG", cls.access_log),
            log_level=environment.get("SPLAI_LOG_LEVEL") or cls.log_level,
            title=environment.get("SPLAI_GATEWAY_TITLE") or cls.title,
            description=environment.get("SPLAI_GATEWAY_DESCRIPTION") or cls.description,
        )


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not 0 <= int(text) <= 65535:
        raise ValueError(f"{name} must be a port number, not {text!r}")
    return int(text)


def _count(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal():
        raise ValueError(f"{name} must be a whole number from 0, not {text!r}")
    return int(text)


def _switch(environment: Mapping[str, str], name: str, default: bool) -> bool:
    text = environment.get(name) or ("true" if default else "false")
    if text not in ("true", "false"):
        raise ValueError(f"{name} must be true or false, not {text!r}")
    return text == "true"


def _redis_url(environment: Mapping[str, str]) -> str:
    """The message has nothing of the URL, which may hold a password."""
    url = environment.get("REDIS_URL", "")
    if url and not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("REDIS_URL must begin with redis://, rediss:// or unix://")
    return url
