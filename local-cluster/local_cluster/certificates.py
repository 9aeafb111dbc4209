"""A certificate authority of one cluster, made with the `openssl` command.

Elliptic curve keys, because they are made in a millisecond; the key that signs ServiceAccount tokens is RSA, as in
nearly every cluster, so that whoever verifies tokens against /openid/v1/jwks meets the usual RS256.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local_cluster.errors import ClusterError

_DAYS = "3650"


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """The certificate authority in a folder; what is there already is used again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.root = Certificate(directory / "ca.crt", directory / "ca.key")
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.root.certificate.exists():
            self._make_root()

    def client(self, name: str, *, user: str, group: str = "") -> Certificate:
        """A certificate with which a component or a person logs in at the apiserver."""
        subject = f"/O={group}/CN={user}" if group else f"/CN={user}"
        return self._issue(f"{name}-client", subject, ["extendedKeyUsage=clientAuth"])

    def server(self, name: str, *, hosts: Sequence[str], addresses: Sequence[str]) -> Certificate:
        """A certificate for what answers at these host names and addresses."""
        names = ",".join([*(f"DNS:{host}" for host in hosts), *(f"IP:{address}" for address in addresses)])
        return self._issue(f"{name}-server", f"/CN={name}", ["extendedKeyUsage=serverAuth", f"subjectAltName={names}"])

    def service_account_key(self) -> Path:
        """The key that signs ServiceAccount tokens."""
        path = self._directory / "service-account.key"
        if not path.exists():
            _openssl("genrsa", "-traditional", "-out", str(path), "2048")
        return path

    def _make_root(self) -> None:
        _openssl(
            *("req", "-x509", "-new", "-nodes", "-days", _DAYS, "-subj", "/CN=local-cluster"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-addext", "keyUsage=critical,keyCertSign,digitalSignature"),
            *("-keyout", str(self.root.key), "-out", str(self.root.certificate)),
        )

    def _issue(self, name: str, subject: str, extensions: Sequence[str]) -> Certificate:
        issued = Certificate(self._directory / f"{name}.crt", self._directory / f"{name}.key")
        if issued.certificate.exists():
            return issued
        request = self._directory / f"{name}.csr"
        extension_file = self._directory / f"{name}.extensions"
        extension_file.write_text("\n".join(extensions))
        _openssl(
            *("req", "-new", "-nodes", "-subj", subject, "-keyout", str(issued.key), "-out", str(request)),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        )
        _openssl(
            *("x509", "-req", "-in", str(request), "-days", _DAYS, "-extfile", str(extension_file)),
            *("-CA", str(self.root.certificate), "-CAkey", str(self.root.key), "-CAcreateserial"),
            *("-out", str(issued.certificate)),
        )
        request.unlink()
        extension_file.unlink()
        return issued


def _openssl(*arguments: str) -> None:
    try:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise ClusterError("the command openssl is missing: install the package openssl") from None
    except subprocess.CalledProcessError as error:
        raise ClusterError(f"openssl {arguments[0]} failed: {error.stderr.strip()}") from None
