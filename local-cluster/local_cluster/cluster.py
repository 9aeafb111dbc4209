"""One cluster of this checkout, whichever way it came: start, load images, look, remove."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from local_cluster import (
    build,
    builders,
    cleanup,
    host,
    images,
    kind,
    kubeconfig,
    last_words,
    neighbours,
    paths,
    remains,
    waiting,
)
from local_cluster.command import run
from local_cluster.errors import ClusterError
from local_cluster.images import Image
from local_cluster.kubectl import Kubectl
from local_cluster.node import Node, refuse_second_cluster
from local_cluster.process import Process
from local_cluster.progress import say
from local_cluster.ways import Way, choose

_WAY = paths.LOCAL / "way"


def up(environment: Mapping[str, str]) -> None:
    """Start the cluster that the environment asks for, or repair the one that is there."""
    way = choose(environment, kind.possible)
    started = _started_way()
    if started is not None and started is not way:
        raise ClusterError(f"a cluster of another kind ({started}) is up: type `make cluster-down` first")
    if way is Way.LOCAL:
        host.require_root()
        refuse_second_cluster(paths.CLUSTER)
        host.install_packages()
    paths.LOCAL.mkdir(exist_ok=True)
    programs = _provide_programs(way)
    _WAY.write_text(way)
    {Way.CURRENT: _up_current, Way.KIND: _up_kind, Way.LOCAL: _up_local}[way](programs)
    _give_to_caller(environment)
    say(f"the cluster is ready: export KUBECONFIG={paths.KUBECONFIG} PATH={paths.PROGRAMS}:$PATH")


def load_images(names: Sequence[str], environment: Mapping[str, str]) -> None:
    """Build SPLAI's images where something has changed, and hand them to the cluster; with REGISTRY it pulls them."""
    way = _require_started()
    if registry := environment.get("REGISTRY"):
        say(f"nothing to load: the cluster pulls {' and '.join(images.pulled_names(registry))}")
        return
    if way is Way.CURRENT:
        raise ClusterError(
            "images cannot be loaded into a cluster that was not started here: it pulls them from a registry, and "
            f"REGISTRY is not set. Push them to one that it reaches, then name it:\n{images.how_to_push()}"
        )
    builder = builders.available()
    for name in names or list(images.RECIPES):
        _load(images.image(name, builder), way)


def install(name: str) -> None:
    """Install a neighbour and wait until it serves; its images are built first where the cache lacks them."""
    way, neighbour = _require_started(), neighbours.find(name)
    if way is Way.CURRENT:
        if missing := neighbours.missing(neighbour, _kubectl()):
            raise ClusterError(
                f"{name} cannot be installed into a cluster that was not started here: install its release "
                f"{neighbour.version} ({missing})"
            )
        return
    builder = builders.available()
    for program in neighbour.programs:
        _load(images.program(neighbour.name, program, builder), way)
    neighbours.install(neighbour, _kubectl())


def load_archive(archive: Path) -> None:
    """Hand any image archive to the cluster."""
    if not archive.is_file():
        raise ClusterError(f"{archive} is not a file")
    way = _require_started()
    if way is Way.CURRENT:
        raise ClusterError("SPLAI cannot load images into a cluster that it did not start")
    if way is Way.KIND:
        kind.load_archive(archive)
    else:
        _node().load_archive(archive)


def status() -> str:
    """What runs, for a person."""
    way = _started_way()
    if way is None:
        return "no cluster: type `make cluster`"
    lines = [f"way: {way}", f"kubeconfig: {paths.KUBECONFIG}"]
    if way is Way.LOCAL:
        for process in _local_processes():
            identity = process.identity
            state = f"process {identity.pid}" if identity else "ENDED"
            lines.append(f"{process.name:<24} {state:<16} {process.log}")
    return "\n".join(lines)


def logs() -> str:
    """What its pods said last, and its own programs that have ended, for a person."""
    way = _started_way()
    if way is None:
        return "no cluster, no logs"
    if way is Way.CURRENT:
        return "the logs of a cluster that was not started here are not for everybody: read them with kubectl"
    words = [last_words.of_pods(_kubectl())]
    if way is Way.LOCAL:
        words += [f"{it.name} has ended: {it.last_words()}" for it in _local_processes() if not it.running]
    return "\n\n".join(words)


def require_no_remains() -> None:
    """Raise when something of the local cluster is on the machine."""
    refuse_second_cluster(paths.CLUSTER)  # of which the same things are found

    def found() -> str | None:
        return "\n  ".join(["these are left:", *left]) if (left := remains.found(paths.CLUSTER)) else None

    # The kernel takes a moment to remove the interfaces of a network namespace that is gone.
    waiting.until("the end of all that the local cluster had on this machine", found, seconds=30)


def down() -> None:
    """Remove the cluster and all it left on the machine; the caches stay."""
    way = _started_way()
    if way is Way.KIND:
        kind.down()
    if way is Way.LOCAL or paths.CLUSTER.exists():
        host.require_root()
        refuse_second_cluster(paths.CLUSTER)  # pods and the node's address are found by names that both would have
        cleanup.remove_everything(paths.CLUSTER)
    for file in (paths.KUBECONFIG, _WAY):
        file.unlink(missing_ok=True)
    shutil.rmtree(paths.PROGRAMS, ignore_errors=True)


def _local_processes() -> list[Process]:
    """The programs of the local cluster that were started and not stopped."""
    return [*Process.recorded(paths.CLUSTER / "control-plane"), *Process.recorded(paths.CLUSTER)]


def _load(image: Image, way: Way) -> None:
    changed = kind.load(image) if way is Way.KIND else _node().load(image)
    say(f"{image.name} {'is now' if changed else 'was already'} in the cluster ({image.key})")
    if changed:
        _restart_users(_kubectl(), image)


def _kubectl() -> Kubectl:
    return Kubectl(paths.PROGRAMS / "kubectl", paths.KUBECONFIG)


def _up_local(_: Kubectl) -> None:
    node = _node()
    node.up()
    kubeconfig.write_private(paths.KUBECONFIG, node.control_plane.kubeconfig.read_text())


def _up_kind(kubectl: Kubectl) -> None:
    kind.up(kubectl)


def _up_current(kubectl: Kubectl) -> None:
    say(f"taking the cluster of your current context, {run(kubectl.program, 'config', 'current-context').strip()}")
    view = (kubectl.program, "config", "view", "--raw", "--minify", "--flatten")
    kubeconfig.write_private(paths.KUBECONFIG, run(*view))


def _node() -> Node:
    return Node(images.pause(builders.Buildah()))


def _restart_users(kubectl: Kubectl, image: Image) -> None:
    """The name of the image is the same as before, so its Deployments do not notice that there is a new one."""
    names = {image.name, image.name.removeprefix("docker.io/")}
    for deployment in json.loads(kubectl("get", "deployments", "--all-namespaces", "-o", "json"))["items"]:
        pod = deployment["spec"]["template"]["spec"]
        if names & {container["image"] for container in [*pod["containers"], *pod.get("initContainers", [])]}:
            namespace, name = deployment["metadata"]["namespace"], deployment["metadata"]["name"]
            say(f"restarting {namespace}/{name}, which uses it")
            kubectl("rollout", "restart", f"--namespace={namespace}", f"deployment/{name}")


def _provide_programs(way: Way) -> Kubectl:
    """kubectl and helm at .local/bin: the installed ones for somebody else's cluster, else those of the build."""
    paths.PROGRAMS.mkdir(exist_ok=True)
    for name, module in (("kubectl", "kubernetes"), ("helm", "helm")):
        installed = None if way is Way.LOCAL else shutil.which(name)
        if installed is None and way is not Way.LOCAL and shutil.which("go") is None:
            raise ClusterError(f"the command {name} is missing: install it, or Go 1.26, with which it is built")
        link = paths.PROGRAMS / name
        link.unlink(missing_ok=True)
        link.symlink_to(installed or build.program(module, name))
    return _kubectl()


def _give_to_caller(environment: Mapping[str, str]) -> None:
    """After `sudo make cluster` the kubeconfig belongs to who typed it."""
    if os.geteuid() == 0 and "SUDO_UID" in environment:
        os.chown(paths.KUBECONFIG, int(environment["SUDO_UID"]), int(environment["SUDO_GID"]))


def _started_way() -> Way | None:
    return Way(_WAY.read_text()) if _WAY.exists() else None


def _require_started() -> Way:
    way = _started_way()
    if way is None:
        raise ClusterError("there is no cluster: type `make cluster` first")
    return way
