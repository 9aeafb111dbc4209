"""A real artifact server as its own process, on a folder, with tokens that it believes."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from local_cluster.ports import free_ports

NAMESPACE = "benchmark"
ISSUER = "https://kubernetes.default.svc"
OPERATOR = "splai-system/splai-operator"
_KEY_ID = "benchmark"


@dataclass(frozen=True)
class ArtifactStore:
    """Where it listens, and who may talk to it."""

    url: str
    pid: int
    root: Path
    operator_token: Path
    _directory: Path
    _key: ec.EllipticCurvePrivateKey

    def job_token(self, uid: str) -> Path:
        """The token of a pod of this job, in a file as the kubelet makes it."""
        path = self._directory / f"token-{uid}"
        path.write_text(_sign(self._key, audience=f"splai-artifacts/{uid}", account=f"{NAMESPACE}/default"))
        return path


@contextmanager
def artifact_store(directory: Path) -> Iterator[ArtifactStore]:
    """Run the server; all that it keeps lies below ``directory``."""
    key = ec.generate_private_key(ec.SECP256R1())
    operator_token = directory / "operator-token"
    operator_token.write_text(_sign(key, audience="splai-artifacts", account=OPERATOR))
    port, metrics_port = free_ports(2)
    root = directory / "store"
    with _published(key) as keys_url, tempfile.TemporaryFile() as log:
        environment = {
            "SPLAI_ARTIFACTS_ROOT": str(root),
            "SPLAI_ARTIFACTS_PORT": str(port),
            "SPLAI_METRICS_PORT": str(metrics_port),
            "SPLAI_TRUSTED_SERVICE_ACCOUNTS": OPERATOR,
            "SPLAI_OIDC_ISSUER": ISSUER,
            "SPLAI_OIDC_JWKS_URI": keys_url,
        }
        command = [str(Path(sys.executable).parent / "splai"), "artifacts", "serve"]
        with subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log) as process:
            try:
                _wait_for(port, process)
                yield ArtifactStore(f"http://127.0.0.1:{port}", process.pid, root, operator_token, directory, key)
            finally:
                failed = process.poll() is not None
                process.terminate()
                process.wait(timeout=60)
                if failed:
                    log.seek(0)
                    sys.stderr.buffer.write(log.read()[-20000:])


def _sign(key: ec.EllipticCurvePrivateKey, *, audience: str, account: str) -> str:
    """What the apiserver puts into a projected token."""
    namespace, _, name = account.partition("/")
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": f"system:serviceaccount:{namespace}:{name}",
        "aud": [audience],
        "iat": now,
        "nbf": now,
        "exp": now + 24 * 3600,
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name}},
    }
    return jwt.encode(claims, key, algorithm="ES256", headers={"kid": _KEY_ID})


@contextmanager
def _published(key: ec.EllipticCurvePrivateKey) -> Iterator[str]:
    jwk = ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": _KEY_ID, "alg": "ES256", "use": "sig"}
    document = json.dumps({"keys": [jwk]}).encode()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - likewise
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Keys) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/jwks"
        server.shutdown()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the artifact server did not start")
