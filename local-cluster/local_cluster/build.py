"""Programs built from the Go module proxy, without any code of ours, and kept in a cache outside the checkout.

Each folder beside this package that holds a go.mod with `tool` lines is one module: the go.mod fixes the version,
go.sum the content. The cache key covers both, the compiler and the flags, so a changed version is a new folder
and an interrupted build leaves none: a build goes to a folder of its own and is renamed when it is complete.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from local_cluster import command, paths
from local_cluster.errors import ClusterError
from local_cluster.progress import Step, say, step


@dataclass(frozen=True)
class Module:
    """One folder with a go.mod, and what is to be known to build it."""

    name: str
    package: str
    """The Go module whose version is the version of the programs."""
    cpu_minutes: float
    """What a build without any Go build cache costs: told to those who wait."""
    version_symbols: tuple[str, ...] = ()
    """`-X` linker symbols; `{version}`, `{major}` and `{minor}` are filled in."""
    renamed: tuple[tuple[str, str], ...] = ()
    """Programs that Go names after a folder that says little."""
    extra: str = ""
    """A folder of the Go module that is kept beside the programs."""
    links: tuple[tuple[str, str], ...] = ()
    """(name, target) of symbolic links in the Go module's repository that its build needs: an archive of the Go module
    proxy holds regular files only."""
    cgo: bool = False
    """Much of it is C++: it needs a C++ compiler, and the programs link to the machine's own libraries."""

    @property
    def folder(self) -> Path:
        """The folder with go.mod and go.sum."""
        return paths.SOURCES / self.name

    @property
    def version(self) -> str:
        """The version that go.mod requires."""
        required = re.search(rf"^(?:require)?\s*{re.escape(self.package)} (v\S+)", self._go_mod(), re.MULTILINE)
        if required is None:
            raise ClusterError(f"{self.folder / 'go.mod'} does not require {self.package}")
        return required[1]

    def flags(self) -> list[str]:
        """The flags of `go build` that decide what the programs contain."""
        major, minor = self.version.removeprefix("v").split(".")[:2]
        symbols = [s.format(version=self.version, major=major, minor=minor) for s in self.version_symbols]
        return ["-trimpath", "-ldflags", " ".join(["-s -w", *(f"-X {symbol}" for symbol in symbols)])]

    def key(self, compilers: str) -> str:
        """What the programs depend on, as one short word."""
        digest = hashlib.sha256()
        links = [f"{name} -> {target}" for name, target in self.links]
        for part in (self._go_mod(), (self.folder / "go.sum").read_text(), compilers, *self.flags(), *links):
            digest.update(part.encode())
            digest.update(b"\0")
        return digest.hexdigest()[:16]

    def _go_mod(self) -> str:
        return (self.folder / "go.mod").read_text()


_KUBERNETES_VERSION = "k8s.io/component-base/version"
_ARGO_OS = "workflow/executor/osspecific"

MODULES = {
    module.name: module
    for module in (
        Module(
            name="kubernetes",
            package="k8s.io/kubernetes",
            cpu_minutes=12,
            version_symbols=(
                f"{_KUBERNETES_VERSION}.gitVersion={{version}}",
                f"{_KUBERNETES_VERSION}.gitMajor={{major}}",
                f"{_KUBERNETES_VERSION}.gitMinor={{minor}}",
            ),
        ),
        Module(name="etcd", package="go.etcd.io/etcd/server/v3", cpu_minutes=1, renamed=(("server", "etcd"),)),
        Module(name="coredns", package="github.com/coredns/coredns", cpu_minutes=3.5),
        Module(name="kwok", package="sigs.k8s.io/kwok", cpu_minutes=1.5, extra="kustomize/stage"),
        Module(
            name="helm",
            package="helm.sh/helm/v3",
            cpu_minutes=2,
            version_symbols=("helm.sh/helm/v3/internal/version.version={version}",),
        ),
        Module(name="minio", package="github.com/minio/minio", cpu_minutes=4),
        Module(
            name="kueue",
            package="sigs.k8s.io/kueue",
            cpu_minutes=6,
            version_symbols=("sigs.k8s.io/kueue/pkg/version.GitVersion={version}",),
            extra="config",
        ),
        Module(
            name="argo-workflows",
            package="github.com/argoproj/argo-workflows/v3",
            cpu_minutes=10,
            version_symbols=("github.com/argoproj/argo-workflows/v3.version={version}",),
            extra="manifests",
            links=((f"{_ARGO_OS}/signal_linux.go", f"{_ARGO_OS}/signal_darwin.go"),),
        ),
        Module(name="ollama", package="github.com/ollama/ollama", cpu_minutes=5, cgo=True),
    )
}


def program(module_name: str, program_name: str) -> Path:
    """The path of a program, built first when the cache lacks it."""
    path = programs(module_name) / program_name
    if not path.exists():
        raise ClusterError(f"the module {module_name} builds no program {program_name}: {path} is missing")
    return path


def programs(module_name: str) -> Path:
    """The folder with a module's programs, built first when the cache lacks it."""
    if module_name not in MODULES:
        raise ClusterError(f"unknown module {module_name}; there are: {', '.join(MODULES)}")
    module = MODULES[module_name]
    key = module.key(_compilers(module))
    folder = paths.cache() / "bin" / f"{module.name}-{key}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lock(folder.with_suffix(".lock"), module.name):
        if not folder.is_dir():  # else another process has built it while this one waited
            command.with_one_retry(f"building {module.name}", lambda: _build(module, folder))
    return folder


def _build(module: Module, folder: Path) -> None:
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # left by a build that was killed: the lock is ours
    unfinished.mkdir()
    why = f"not in the cache yet; {module.cpu_minutes:g} CPU-minutes at the first time"
    with step(f"building {module.name} {module.version}", why) as current, _complete_source(module) as source:
        _compile(module, source, unfinished, current)
        for built, wanted in module.renamed:
            (unfinished / built).rename(unfinished / wanted)
        if module.extra:
            _keep_extra(module, unfinished)
    unfinished.rename(folder)


@contextmanager
def _complete_source(module: Module) -> Iterator[Path]:
    """The folder to build in: where links are missing, a copy that replaces the Go module by one that has them."""
    if not module.links:
        yield module.folder
        return
    with TemporaryDirectory(prefix=f"{module.name}-source-") as directory:
        folder = Path(directory)
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(module.folder / name, folder / name)
        shutil.copytree(go_module_folder(module), folder / "source", copy_function=shutil.copyfile)
        for name, target in module.links:
            (folder / "source" / name).parent.chmod(0o755)  # the module cache is read-only
            shutil.copyfile(folder / "source" / target, folder / "source" / name)
        command.run("go", "mod", "edit", f"-replace={module.package}=./source", directory=folder)
        yield folder


def _compile(module: Module, source: Path, destination: Path, current: Step) -> None:
    words = ["go", "build", "-v", *module.flags(), "-o", f"{destination}/", "tool"]
    compiled = 0
    output: list[str] = []
    with subprocess.Popen(
        words, cwd=source, env=go_environment(cgo=module.cgo), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None  # noqa: S101  (for the type checker: PIPE was asked for)
        for line in process.stderr:
            output.append(line)
            compiled += 1
            current.detail = f"{compiled} packages, now {line.strip()}"
    if process.returncode != 0:
        raise ClusterError(f"building {module.name} failed:\n{''.join(output[-20:])}")


def _keep_extra(module: Module, destination: Path) -> None:
    source = go_module_folder(module) / module.extra
    shutil.copytree(source, destination / source.name, copy_function=shutil.copyfile)


def go_module_folder(module: Module) -> Path:
    """Where Go keeps the module's content, downloaded first when it is not there."""
    downloaded = command.run("go", "mod", "download", "-json", module.package, directory=module.folder)
    return Path(json.loads(downloaded)["Dir"])


def go_environment(*, cgo: bool = False) -> dict[str, str]:
    """What `go build` is run with: static programs, whatever the machine has, unless they cannot do without C."""
    return os.environ | {"CGO_ENABLED": "1" if cgo else "0"}


def _compilers(module: Module) -> str:
    """The versions of all that compile the module."""
    if not module.cgo:
        return _go_version()
    if shutil.which("g++") is None:
        raise ClusterError(f"{module.name} is built from C++ too, and g++ is missing: apt-get install g++")
    return f"{_go_version()}, {command.run('g++', '--version').splitlines()[0]}"


def _go_version() -> str:
    if shutil.which("go") is None:
        raise ClusterError("Go is missing: the cluster is built from source. Install Go 1.26 (https://go.dev/dl/).")
    # In a module's folder, because the `toolchain` line of a go.mod may ask for another Go than the one on PATH.
    return command.run("go", "version", directory=paths.SOURCES / "kubernetes").strip()


@contextmanager
def lock(path: Path, name: str) -> Iterator[None]:
    """Let one process at a time build what the lock file stands for."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is building {name}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
