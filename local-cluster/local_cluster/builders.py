"""The two programs that build images: Docker with its daemon, buildah without one and without a registry."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from local_cluster import paths, pip_settings
from local_cluster.command import run, succeeds, with_one_retry
from local_cluster.images import Builder, Recipe
from local_cluster.progress import step

_SUITE = "trixie"
_PACKAGES = ("python3", "python3-venv", "ca-certificates", "libgomp1")
_UNUSED = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "var/lib/apt/lists", "var/cache/apt")


def available() -> Builder:
    """Docker where a daemon answers, else buildah."""
    return Docker() if docker_answers() else Buildah()


def docker_answers() -> bool:
    """Whether there is a Docker daemon that this user may use."""
    return shutil.which("docker") is not None and succeeds("docker", "info", seconds=10)


class Docker:
    """Images from the Dockerfiles as they stand."""

    base = "dockerfile"

    def build(self, recipe: Recipe, archive: Path) -> None:
        """Build with BuildKit and save the result."""
        with pip_settings.secrets() as secrets:
            secret_arguments = [f"--secret=id={name},src={file}" for name, file in secrets.items()]
            run(
                *("docker", "build", "--quiet", *secret_arguments),
                *("--tag", recipe.tag, "--file", recipe.dockerfile, recipe.context),
            )
        run("docker", "save", "--output", archive, recipe.tag)


class Buildah:
    """Images on a base made from Debian packages: nothing is pulled from a registry."""

    def __init__(self) -> None:
        """Describe the base; it is made when an image needs it."""
        self.base = hashlib.sha256(" ".join((_SUITE, *_PACKAGES)).encode()).hexdigest()[:16]
        # Its own storage, and no settings from /etc/containers, so that it is the same on every machine.
        self._storage = paths.cache() / "buildah"

    def build(self, recipe: Recipe, archive: Path) -> None:
        """Build without a container runtime: the steps run in a chroot, on the host's network."""
        base_arguments = [] if "FROM scratch" in recipe.dockerfile.read_text() else [self._base_argument()]
        ignore = recipe.dockerfile.with_name(f"{recipe.dockerfile.name}.dockerignore")
        with pip_settings.secrets() as secrets:
            self._buildah(
                *("bud", "--layers", "--force-rm", "--isolation=chroot", *base_arguments),
                *(f"--secret=id={name},src={file}" for name, file in secrets.items()),
                *([f"--ignorefile={ignore}"] if ignore.exists() else []),
                *("--tag", recipe.tag, "--file", recipe.dockerfile, recipe.context),
            )
        # Not compressed: the archive goes no further than this machine.
        self._buildah("push", "--quiet", "--disable-compression", recipe.tag, f"oci-archive:{archive}:{recipe.tag}")

    def _base_argument(self) -> str:
        name = f"localhost/splai-base:{self.base}"
        if not self._buildah("images", "--quiet", "--filter", f"reference={name}").strip():
            with_one_retry("making the base image", lambda: self._make_base(name))
        return f"--build-arg=BASE_IMAGE={name}"

    def _make_base(self, name: str) -> None:
        with (
            step("making the base image from Debian packages", "stands in for python:3.13-slim; once a machine"),
            TemporaryDirectory(prefix="base-", dir=self._storage) as directory,
        ):
            tree = Path(directory) / "tree"
            run("debootstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}", _SUITE, tree)
            for folder in _UNUSED:
                shutil.rmtree(tree / folder, ignore_errors=True)
            (tree / "etc" / "resolv.conf").unlink(missing_ok=True)  # this machine's, and so is its name
            (tree / "etc" / "hostname").unlink(missing_ok=True)
            container = self._buildah("from", "scratch").strip()
            self._buildah("add", "--quiet", container, tree, "/")
            self._buildah("commit", "--quiet", "--rm", container, name)

    def _buildah(self, *arguments: str | Path) -> str:
        self._storage.mkdir(parents=True, exist_ok=True)
        policy = self._storage / "policy.json"
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        return run(
            "buildah",
            f"--root={self._storage / 'storage'}",
            f"--runroot={self._storage / 'run'}",
            "--storage-driver=overlay",
            *arguments[:1],
            *([f"--signature-policy={policy}"] if arguments[0] in {"from", "bud", "commit", "push"} else []),
            *arguments[1:],
        )
