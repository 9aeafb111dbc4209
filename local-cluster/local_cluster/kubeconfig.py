"""Kubeconfig files: how a component or a person reaches an apiserver."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from local_cluster.certificates import Certificate


def write(path: Path, *, name: str, server: str, authority: Path, login: Certificate) -> None:
    """Write a kubeconfig with everything inside, readable by its owner alone, in one step."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": _encoded(authority)}}],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": _encoded(login.certificate),
                    "client-key-data": _encoded(login.key),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    # JSON is YAML, and the standard library writes it.
    write_private(path, json.dumps(document, indent=1))


def write_private(path: Path, content: str) -> None:
    """Replace a file at once, with mode 0600 from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    unfinished.replace(path)


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
