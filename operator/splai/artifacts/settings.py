"""What the artifact server is told by its environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """One field per SPLAI_ variable."""

    root: Path = Path("/var/lib/splai/artifacts")
    port: int = 8080
    metrics_port: int = 9464
    trusted: frozenset[str] = frozenset()
    readers: frozenset[str] = frozenset()
    issuer: str | None = None
    jwks_uri: str | None = None
    log_level: str = "INFO"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the variables; raises ValueError naming the one that is wrong."""
        return cls(
            root=Path(environment.get("SPLAI_ARTIFACTS_ROOT") or cls.root),
            port=_port(environment, "SPLAI_ARTIFACTS_PORT", cls.port),
            metrics_port=_port(environment, "SPLAI_METRICS_PORT", cls.metrics_port),
            trusted=_accounts(environment, "SPLAI_TRUSTED_SERVICE_ACCOUNTS"),
            readers=_accounts(environment, "SPLAI_READER_SERVICE_ACCOUNTS"),
            issuer=environment.get("SPLAI_OIDC_ISSUER") or None,
            jwks_uri=environment.get("SPLAI_OIDC_JWKS_URI") or None,
            log_level=environment.get("SPLAI_LOG_LEVEL") or "INFO",
        )


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ValueError(f"{name} must be a port, not {text!r}")
    return int(text)


def _accounts(environment: Mapping[str, str], name: str) -> frozenset[str]:
    accounts = frozenset(account.strip() for account in environment.get(name, "").split(",") if account.strip())
    for account in accounts:
        namespace, _, service_account = account.partition("/")
        if not namespace or not service_account or "/" in service_account:
            raise ValueError(f"{name} must list ServiceAccounts as namespace/name, not {account!r}")
    return accounts
