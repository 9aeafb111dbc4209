"""SPLAI's images: what each is made of, and a cache of them keyed by exactly that.

An image is built when something it is made of has changed, by Docker where a daemon answers and by buildah where none
does, and kept as an archive outside the checkout. The tag stays the same while the key changes, so who loads an image
into a cluster compares keys.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from local_cluster import build, command, paths
from local_cluster.errors import ClusterError
from local_cluster.progress import step

_KEPT_ARCHIVES = 2


@dataclass(frozen=True)
class Image:
    """An image that exists as an archive."""

    name: str
    key: str
    archive: Path


@dataclass(frozen=True)
class Recipe:
    """How an image is made."""

    name: str
    dockerfile: Path
    context: Path
    sources: tuple[str, ...]
    """What the Dockerfile copies, relative to the context: the content that the key covers."""
    version: str = ""
    """SPLAI's own, unless it is said."""

    @property
    def tag(self) -> str:
        """The full name: with Docker's default registry, which is what `splai/…` means in a manifest."""
        return f"docker.io/splai/{self.name}:{self.version or _version()}"

    def key(self, base: str) -> str:
        """What the image depends on, as one short word."""
        digest = hashlib.sha256()
        for part in (self.tag, base, self.dockerfile.read_text()):
            digest.update(part.encode() + b"\0")
        for file in self._files():
            digest.update(str(file.relative_to(self.context)).encode() + b"\0")
            digest.update(file.read_bytes() + b"\0")
        return digest.hexdigest()[:16]

    def copy(self, directory: Path) -> Recipe:
        """The same recipe on a copy of its sources."""
        for file in self._files():
            target = directory / file.relative_to(self.context)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
        return replace(self, context=directory)

    def _files(self) -> Iterator[Path]:
        for source in self.sources:
            path = self.context / source
            if not path.exists():
                raise ClusterError(f"the image {self.name} needs {path}, which does not exist")
            found = sorted(path.rglob("*")) if path.is_dir() else [path]
            yield from (file for file in found if file.is_file() and "__pycache__" not in file.parts)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="splai",
            dockerfile=paths.REPOSITORY / "operator" / "Dockerfile",
            context=paths.REPOSITORY,
            sources=(
                "pyproject.toml",
                "README.md",
                "LICENSE",
                "requirements.lock",
                "operator/build-requirements.lock",
                "operator/splai",
            ),
        ),
        Recipe(
            name="llamacpp",
            dockerfile=paths.REPOSITORY / "images" / "llamacpp" / "Dockerfile",
            context=paths.REPOSITORY / "images" / "llamacpp",
            sources=("requirements.lock", "server.py"),
        ),
    )
}


OLLAMA = "ollama"
"""One more, which only tests need: its program is built from a Go module first. Tagged `local`."""


def pulled_names(registry: str) -> list[str]:
    """What a cluster is told to pull when the images are not loaded into it."""
    return [f"{registry}/{recipe.name}:{_version()}" for recipe in RECIPES.values()]


def how_to_push() -> str:
    """The commands that bring the images to a registry, and the one that installs from there."""
    lines = []
    for recipe, name in zip(RECIPES.values(), pulled_names("$REGISTRY"), strict=True):
        dockerfile, context = (os.path.relpath(path, paths.REPOSITORY) for path in (recipe.dockerfile, recipe.context))
        lines += [f"docker build --tag {name} --file {dockerfile} {context}", f"docker push {name}"]
    return "\n".join(
        f"  {line}" for line in ("REGISTRY=registry.example/team", *lines, "make install REGISTRY=$REGISTRY")
    )


class Builder(Protocol):
    """Docker or buildah."""

    base: str
    """What the images start from, for the key."""

    def build(self, recipe: Recipe, archive: Path) -> None:
        """Build an image and write it to an archive."""


def image(name: str, builder: Builder) -> Image:
    """One of the images, built first when the cache lacks it."""
    if name == OLLAMA:
        return _ollama(builder)
    if name not in RECIPES:
        raise ClusterError(f"unknown image {name}; there are: {', '.join((*RECIPES, OLLAMA))}")
    return _cached(RECIPES[name], builder)


def _ollama(builder: Builder) -> Image:
    source = paths.REPOSITORY / "images" / OLLAMA
    with TemporaryDirectory(prefix="ollama-image-") as directory:
        context = Path(directory)
        shutil.copy2(build.program(OLLAMA, "ollama"), context)
        shutil.copy2(source / "requirements.lock", context)
        recipe = Recipe(OLLAMA, source / "Dockerfile", context, ("requirements.lock", "ollama"), version="local")
        return _cached(recipe, builder)


def pause(builder: Builder) -> Image:
    """The image of the process that holds a pod's namespaces open."""
    source = paths.REPOSITORY / "images" / "pause"
    context = paths.cache() / "pause"
    context.mkdir(parents=True, exist_ok=True)
    program = context / "pause"
    # Go says nothing and does nothing when the program is up to date.
    environment = build.go_environment()
    command.run(
        "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, ".", directory=source, environment=environment
    )
    return _cached(Recipe("pause", source / "Dockerfile", context, ("pause",)), builder)


def program(module: str, name: str, builder: Builder) -> Image:
    """An image with one program of a Go module and a /tmp that everybody may write to; tagged `local`."""
    with TemporaryDirectory(prefix=f"{name}-program-") as directory:
        context = Path(directory)
        (context / "bin").mkdir()
        shutil.copy2(build.program(module, name), context / "bin" / name)
        with tarfile.open(context / "folders.tar", "w") as folders:
            tmp = tarfile.TarInfo("tmp")
            tmp.type, tmp.mode = tarfile.DIRTYPE, 0o1777
            folders.addfile(tmp)
        recipe = Recipe(name, paths.SOURCES / "program.Dockerfile", context, ("bin", "folders.tar"), version="local")
        return _cached(recipe, builder)


def _cached(recipe: Recipe, builder: Builder) -> Image:
    # What is built is a copy: somebody who edits meanwhile changes neither the image nor what its key says.
    with TemporaryDirectory(prefix=f"{recipe.name}-context-") as directory:
        copied = recipe.copy(Path(directory))
        key = copied.key(builder.base)
        archive = paths.cache() / "images" / f"{recipe.name}-{key}.tar"
        if not archive.exists():
            archive.parent.mkdir(parents=True, exist_ok=True)
            with build.lock(archive.with_suffix(".lock"), f"the image {recipe.name}"):
                _build(copied, builder, archive)
            _remove_old(recipe.name, archive)
    return Image(recipe.tag, key, archive)


def _build(recipe: Recipe, builder: Builder, archive: Path) -> None:
    if archive.exists():  # another process has built it while this one waited
        return
    unfinished = archive.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with step(f"building the image {recipe.name}", "something it is made of has changed"):
        builder.build(recipe, unfinished)
    unfinished.rename(archive)


def _remove_old(name: str, newest: Path) -> None:
    """Keep the archives of a name that were used last."""
    archives = sorted(newest.parent.glob(f"{name}-*.tar"), key=lambda file: file.stat().st_mtime)
    for archive in archives[:-_KEPT_ARCHIVES]:
        if archive != newest:
            archive.unlink()
            archive.with_suffix(".lock").unlink(missing_ok=True)


def _version() -> str:
    text = (paths.REPOSITORY / "pyproject.toml").read_text()
    version = re.search(r'^version = "([^"]+)"', text, re.MULTILINE)
    if version is None:
        raise ClusterError('pyproject.toml has no line version = "…"')
    return version[1]
