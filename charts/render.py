"""Write what follows from the chart and the CRDs: the chart's copies of the CRDs, and manifests/install.yaml.

    python charts/render.py

Needs Helm 3 on PATH, where `make generate` puts it; of Python only the standard library.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
CHART = REPOSITORY / "charts" / "splai"
CRDS = REPOSITORY / "crds"
INSTALL = REPOSITORY / "manifests" / "install.yaml"

# The oldest one the chart supports. Told to Helm, because what a Helm assumes without a cluster depends on its build.
KUBERNETES = "1.30.0"
RELEASE = "splai"
NAMESPACE = "splai-system"

_HEADER = f"""\
# SPLAI in one file: kubectl apply --server-side -f install.yaml
# Generated from charts/splai by `make generate`; do not edit.
---
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/warn: restricted
"""


class HelmError(Exception):
    """Helm is missing, or refused the chart or its values."""


def find_helm() -> Path:
    """The Helm on PATH."""
    found = shutil.which("helm")
    if found is None:
        raise HelmError("Helm 3 is missing: `make generate` builds it, or install it from https://helm.sh")
    return Path(found)


def template(helm: Path, *arguments: str, namespace: str = NAMESPACE, release: str = RELEASE) -> str:
    """The chart rendered with its default values and the arguments of `helm template`."""
    where = [f"--namespace={namespace}", f"--kube-version={KUBERNETES}"]
    command = [str(helm), "template", release, str(CHART), *where, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise HelmError(done.stderr.strip())
    return done.stdout


def install_manifest(helm: Path) -> str:
    """What manifests/install.yaml must hold: the namespace, the CRDs and the chart."""
    return _HEADER + template(helm, "--include-crds")


def copy_crds() -> None:
    """Make the chart's crds/ equal to crds/."""
    copies = CHART / "crds"
    copies.mkdir(exist_ok=True)
    for stale in copies.glob("*.yaml"):
        stale.unlink()
    for source in sorted(CRDS.glob("*.yaml")):
        shutil.copyfile(source, copies / source.name)


def main() -> int:
    """Write both; the exit code says whether Helm could."""
    copy_crds()
    try:
        INSTALL.write_text(install_manifest(find_helm()))
    except HelmError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
