"""A real node on this machine: containerd, kubelet, kube-proxy, CoreDNS, beside a control plane it can reach.

`up` repairs as well as it creates: each part is looked at and started only where it is missing, so it is also the
answer to a reboot, a crash, or a Ctrl-C in the middle. `cleanup` is the way back.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from local_cluster import build, cgroups, configuration, gpu, host, network, paths, volumes, waiting
from local_cluster.command import run, succeeds
from local_cluster.control_plane import ControlPlane, Ports
from local_cluster.errors import ClusterError
from local_cluster.images import Image
from local_cluster.kubectl import Kubectl
from local_cluster.process import Process, boot_id
from local_cluster.progress import say, step

NAME = "splai-local"

_APISERVER_PORT = 6443
_DNS_SERVICE = "10.96.0.10"
_DNS_READY_PORT = 8181
_LONGEST_DIRECTORY = 60
_READY_SECONDS = 120


class Node:
    """The local cluster of one checkout: its control plane and its one node."""

    def __init__(self, pause: Image, directory: Path = paths.CLUSTER) -> None:
        """Describe the cluster in a folder; nothing starts yet. `pause` is the image that holds a pod together."""
        if len(str(directory)) > _LONGEST_DIRECTORY:
            raise ClusterError(
                f"the path {directory} is too long for the sockets in it ({_LONGEST_DIRECTORY} characters at most): "
                "move the checkout to a shorter path"
            )
        self.directory = directory
        self.control_plane = _control_plane(directory)
        self._pause = pause
        self._values = self._template_values()
        self._processes = {
            process.name: process
            for process in (
                self._containerd(),
                self._kubelet(),
                self._kube_proxy(),
                self._coredns(),
                self._volume_keeper(),
            )
        }
        self._kubectl = Kubectl(build.program("kubernetes", "kubectl"), self.control_plane.kubeconfig)

    def up(self) -> None:
        """Start what does not run, and wait until pods can run."""
        refuse_second_cluster(self.directory)
        self._forget_former_boot()
        host.remember(self.directory / "host.json")
        host.forward_packets()
        network.up()
        cgroups.make()
        self._processes["containerd"].start()
        with step("starting the control plane"):
            self.control_plane.start()
        self._kubectl.apply(configuration.render("cluster.yaml", self._values))
        with closing(self.control_plane.api()) as api:
            volumes.offer(api, self.directory / "volumes", node=NAME)
        self.load(self._pause)
        with step("starting the node"):
            for process in self._processes.values():
                process.start()
            waiting.until("the node's readiness", self._unready, seconds=_READY_SECONDS, interval=0.5)
            gpu.advertise(self._kubectl, NAME)

    def load(self, image: Image) -> bool:
        """Hand an image to containerd unless it has exactly this one; whether it had to."""
        waiting.until("containerd's readiness", self._containerd_unready, seconds=_READY_SECONDS)
        record = self.directory / "images.json"
        loaded: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
        if loaded.get(image.name) == image.key and image.name in self._ctr("list", "--quiet").split():
            return False
        self.load_archive(image.archive)
        record.write_text(json.dumps(loaded | {image.name: image.key}, indent=1))
        return True

    def load_archive(self, archive: Path) -> None:
        """Hand any image archive to containerd."""
        waiting.until("containerd's readiness", self._containerd_unready, seconds=_READY_SECONDS)
        self._ctr("import", str(archive))

    def _ctr(self, *arguments: str) -> str:
        return run("ctr", f"--address={paths.CONTAINERD_SOCKET}", "--namespace=k8s.io", "images", *arguments)

    def _containerd_unready(self) -> str | None:
        process = self._processes["containerd"]
        if not process.running:
            raise ClusterError(f"containerd has ended: {process.last_words()}")
        if succeeds("ctr", f"--address={paths.CONTAINERD_SOCKET}", "version"):
            return None
        return "it does not answer on its socket"

    def _unready(self) -> str | None:
        for process in self._processes.values():
            if not process.running:
                raise ClusterError(f"{process.name} has ended: {process.last_words()}")
        return why_unready(self._kubectl)

    def _forget_former_boot(self) -> None:
        """After a reboot the sockets and the addresses that pods held are worth nothing."""
        record = self.directory / "boot"
        if record.exists() and record.read_text() != boot_id():
            say("the machine was restarted since: repairing the cluster")
            shutil.rmtree(paths.RUNTIME, ignore_errors=True)
        self.directory.mkdir(parents=True, exist_ok=True)
        record.write_text(boot_id())
        paths.RUNTIME.mkdir(exist_ok=True)
        (paths.RUNTIME / "owner").write_text(str(self.directory))

    def _template_values(self) -> Mapping[str, object]:
        authority = self.control_plane.authority
        serving = authority.server("kubelet", hosts=[NAME], addresses=[network.NODE_ADDRESS])
        return {
            "authority": authority.root.certificate,
            "cluster_name": cgroups.NAME,
            "cni_configuration": self.directory / "configuration" / "cni",
            "cni_plugins": host.network_plugins(),
            "containerd_socket": paths.CONTAINERD_SOCKET,
            "data": self.directory,
            "dns_ready_port": _DNS_READY_PORT,
            "dns_service": _DNS_SERVICE,
            "forward": _forward(),
            "node_address": network.NODE_ADDRESS,
            "node_name": NAME,
            "pause_image": self._pause.name,
            "pod_cidr": network.POD_CIDR,
            "resolv_conf": "/etc/resolv.conf",
            "runtime": paths.RUNTIME,
            "serving_certificate": serving.certificate,
            "serving_key": serving.key,
        }

    def _configured(self, template: str, **values: object) -> Path:
        return configuration.write(template, {**self._values, **values}, self.directory / "configuration")

    def _process(self, name: str, *command: str | Path) -> Process:
        return Process(name, command, self.directory, outlive=True)

    def _containerd(self) -> Process:
        configuration.write("cni.conflist", self._values, self.directory / "configuration" / "cni")
        return self._process("containerd", "containerd", "--config", self._configured("containerd.toml"))

    def _kubelet(self) -> Process:
        login = self.control_plane.component_kubeconfig("kubelet", user=f"system:node:{NAME}", group="system:nodes")
        return self._process(
            "kubelet",
            build.program("kubernetes", "kubelet"),
            f"--config={self._configured('kubelet.yaml')}",
            f"--kubeconfig={login}",
            f"--hostname-override={NAME}",
            f"--node-ip={network.NODE_ADDRESS}",
            f"--root-dir={self.directory / 'kubelet'}",
            f"--node-labels={gpu.PRODUCT_LABEL}={gpu.PRODUCT}",
        )

    def _kube_proxy(self) -> Process:
        login = self.control_plane.component_kubeconfig("kube-proxy", user="system:kube-proxy")
        configured = self._configured("kube-proxy.yaml", kubeconfig=login)
        return self._process("kube-proxy", build.program("kubernetes", "kube-proxy"), f"--config={configured}")

    def _coredns(self) -> Process:
        login = self.control_plane.component_kubeconfig("coredns", user="system:coredns")
        configured = self._configured("Corefile", kubeconfig=login)
        return self._process("coredns", build.program("coredns", "coredns"), "-conf", configured)

    def _volume_keeper(self) -> Process:
        login = self.control_plane.authority.client("volume-keeper", user="volume-keeper", group="system:masters")
        return self._process(
            "volume-keeper",
            *("env", f"PYTHONPATH={paths.SOURCES}", sys.executable, "-m", "local_cluster.volumes"),
            self.control_plane.server,
            *(self.control_plane.authority.root.certificate, login.certificate, login.key),
        )


def why_unready(kubectl: Kubectl) -> str | None:
    """Why the node takes no pods yet; None when it does."""
    try:
        nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    except ClusterError as error:  # which passes, as at an apiserver that is still busy with its start
        return str(error)
    conditions = [c for n in nodes if n["metadata"]["name"] == NAME for c in n["status"].get("conditions", [])]
    ready = next((c for c in conditions if c["type"] == "Ready"), None)
    if ready is None:
        return "the kubelet has not registered it"
    return None if ready["status"] == "True" else str(ready["message"])


def refuse_second_cluster(directory: Path) -> None:
    """Two checkouts cannot have a local cluster at once: they would share the node's address."""
    record = paths.RUNTIME / "owner"
    if not record.exists():
        return
    owner = Path(record.read_text())
    if owner != directory and any(process.running for process in Process.recorded(owner)):
        raise ClusterError(
            f"the cluster of another checkout is running ({owner}): type `make cluster-down` there first"
        )


def _control_plane(directory: Path) -> ControlPlane:
    folder = directory / "control-plane"
    started_before = (folder / "ports.json").exists()
    return ControlPlane(
        folder,
        address=network.NODE_ADDRESS,
        ports=None if started_before else replace(Ports.free(), apiserver=_APISERVER_PORT),
        name=cgroups.NAME,
        outlive=True,
    )


def _forward() -> str:
    """Names outside the cluster are asked where the machine asks, when it asks anywhere."""
    resolv_conf = Path("/etc/resolv.conf")
    if resolv_conf.exists() and "nameserver" in resolv_conf.read_text():
        return "forward . /etc/resolv.conf"
    return ""
