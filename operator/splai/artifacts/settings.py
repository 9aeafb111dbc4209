"""What the artifact server is told by its environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args

Backend = Literal["local", "minio", "s3", "gcs", "azure"]
_BUCKETS = {
    "s3": r"s3://[^/]+(/.*)?",
    "gcs": r"gs://[^/]+(/.*)?",
    "azure": r"az://[^/]+/[^/]+(/.*)?",
}


@dataclass(frozen=True)
class MinioSettings:
    """A MinIO, or any other S3 service by its address and keys."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)
    use_ssl: bool = False

    @property
    def url(self) -> str:
        return f"{'https' if self.use_ssl else 'http'}://{self.endpoint}"


@dataclass(frozen=True)
class Settings:
    """One field per SPLAI_ variable."""

    backend: Backend = "local"
    root: Path = Path("/var/lib/splai/artifacts")
    bucket: str = ""
    """A URI, for the clouds' own stores; their credentials and regions are their libraries' usual variables."""
    minio: MinioSettings | None = None
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
        backend = _backend(environment)
        return cls(
            backend=backend,
            bucket=_bucket(environment, backend),
            minio=_minio(environment) if backend == "minio" else None,
            root=Path(environment.get("SPLAI_ARTIFACTS_ROOT") or cls.root),
            port=_port(environment, "SPLAI_ARTIFACTS_PORT", cls.port),
            metrics_port=_port(environment, "SPLAI_METRICS_PORT", cls.metrics_port),
            trusted=_accounts(environment, "SPLAI_TRUSTED_SERVICE_ACCOUNTS"),
            readers=_accounts(environment, "SPLAI_READER_SERVICE_ACCOUNTS"),
            issuer=environment.get("SPLAI_OIDC_ISSUER") or None,
            jwks_uri=environment.get("SPLAI_OIDC_JWKS_URI") or None,
            log_level=environment.get("SPLAI_LOG_LEVEL") or "INFO",
        )


def _backend(environment: Mapping[str, str]) -> Backend:
    backend = environment.get("SPLAI_ARTIFACT_BACKEND") or "local"
    if backend not in get_args(Backend):
        raise ValueError(f"SPLAI_ARTIFACT_BACKEND must be one of {', '.join(get_args(Backend))}, not {backend!r}")
    return cast("Backend", backend)


def _bucket(environment: Mapping[str, str], backend: Backend) -> str:
    uri = environment.get("SPLAI_ARTIFACT_BUCKET", "")
    if (form := _BUCKETS.get(backend)) and not re.fullmatch(form, uri):
        example = "az://account/container/prefix" if backend == "azure" else form[:5] + "bucket/prefix"
        raise ValueError(f"SPLAI_ARTIFACT_BUCKET must be like {example} for the backend {backend}, not {uri!r}")
    return uri if form else ""


def _minio(environment: Mapping[str, str]) -> MinioSettings:
    def required(name: str) -> str:
        if not environment.get(name):
            raise ValueError(f"{name} must be set for the backend minio")
        return environment[name]

    endpoint, use_ssl = required("SPLAI_MINIO_ENDPOINT"), environment.get("SPLAI_MINIO_USE_SSL") or "false"
    if not re.fullmatch(r"[^/@\s]+", endpoint):
        raise ValueError(f"SPLAI_MINIO_ENDPOINT must be like minio:9000, without a scheme, not {endpoint!r}")
    if use_ssl.lower() not in ("true", "false"):
        raise ValueError(f"SPLAI_MINIO_USE_SSL must be true or false, not {use_ssl!r}")
    return MinioSettings(
        endpoint=endpoint,
        bucket=required("SPLAI_MINIO_BUCKET"),
        access_key=required("SPLAI_MINIO_ACCESS_KEY"),
        secret_key=required("SPLAI_MINIO_SECRET_KEY"),
        use_ssl=use_ssl.lower() == "true",
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
