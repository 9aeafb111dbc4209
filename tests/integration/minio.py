"""A real S3: MinIO on loopback, built from source like the rest."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx
import obstore
import pytest
from obstore.store import S3Store

from local_cluster import build, waiting
from local_cluster.errors import ClusterError
from local_cluster.ports import free_ports
from local_cluster.process import Process

REGION = "us-east-1"
_READY_SECONDS = 60


@dataclass(frozen=True)
class Minio:
    """A MinIO that runs."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)

    def store(self, bucket: str, prefix: str | None = None) -> S3Store:
        """A client of one bucket."""
        return S3Store(
            bucket,
            prefix=prefix,
            endpoint=self.endpoint,
            access_key_id=self.access_key,
            secret_access_key=self.secret_key,
            region=REGION,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )

    def make_bucket(self, name: str | None = None) -> str:
        """Make a bucket, by default under a name of its own, and return the name."""
        name = name or f"test-{secrets.token_hex(4)}"
        # No method of obstore makes a bucket, but it signs the request: a PUT of the bucket's own path.
        url = obstore.sign(self.store(name), "PUT", "", timedelta(minutes=1))
        httpx.put(url, timeout=30).raise_for_status()
        return name


@contextmanager
def running_minio(directory: Path) -> Iterator[Minio]:
    """A MinIO with random credentials whose data lie in the directory."""
    (port,) = free_ports(1)
    minio = Minio(f"http://127.0.0.1:{port}", secrets.token_hex(8), secrets.token_hex(16))
    try:
        process = Process("minio", _command(minio, directory), directory, outlive=False)
        process.start()
    except ClusterError as error:
        pytest.fail(f"no MinIO to test on: {error}", pytrace=False)

    def unready() -> str | None:
        if not process.running:
            raise ClusterError(f"minio has ended: {process.last_words()}")
        try:
            reply = httpx.get(f"{minio.endpoint}/minio/health/ready", timeout=5)
        except httpx.TransportError as error:
            return repr(error)
        return None if reply.is_success else f"it answers {reply.status_code}"

    try:
        waiting.until("MinIO's readiness", unready, seconds=_READY_SECONDS)
        yield minio
    finally:
        process.stop()


def _command(minio: Minio, directory: Path) -> list[str | Path]:
    address = minio.endpoint.removeprefix("http://")
    settings = {
        "MINIO_ROOT_USER": minio.access_key,
        "MINIO_ROOT_PASSWORD": minio.secret_key,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
    }
    server = ("server", "--quiet", f"--address={address}", f"--certs-dir={directory / 'certificates'}")
    variables = (f"{name}={value}" for name, value in settings.items())
    return ["env", *variables, build.program("minio", "minio"), *server, directory / "data"]
