"""A control plane of real programs: etcd, kube-apiserver, kube-controller-manager, kube-scheduler.

Without arguments beyond a folder it listens on loopback at free ports, so several run side by side; it needs no root
and no kubelet. Integration tests and the scale benchmark use it that way; `node.py` adds a real node to one.

    with ControlPlane(tmp_path) as control_plane:
        run_against(control_plane.kubeconfig)
        control_plane.kill("kube-apiserver")
        control_plane.start()

What the folder holds (ports, certificates, data, process ids) is used again by the next start in it.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from local_cluster import build, kubeconfig, waiting
from local_cluster.api import Api, ApiError
from local_cluster.certificates import Authority, Certificate
from local_cluster.errors import ClusterError
from local_cluster.ports import LOOPBACK, free_ports
from local_cluster.process import Process

SERVICE_CIDR = "10.96.0.0/16"
KUBERNETES_SERVICE = "10.96.0.1"
ISSUER = "https://kubernetes.default.svc.cluster.local"

_SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", ISSUER[8:])
_COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


@dataclass(frozen=True)
class Ports:
    """Where the components listen."""

    apiserver: int
    etcd: int
    etcd_peer: int
    controller_manager: int
    scheduler: int

    @classmethod
    def free(cls) -> Ports:
        """Ports that nobody on loopback uses now."""
        return cls(*free_ports(5))


@dataclass(frozen=True)
class Audit:
    """The audit log of the apiserver: JSON lines, one a request, as the policy says."""

    policy: Path
    log: Path


class ControlPlane:
    """One control plane in a folder; a context manager that starts and stops it."""

    def __init__(
        self,
        directory: Path,
        *,
        address: str = LOOPBACK,
        ports: Ports | None = None,
        name: str = "control-plane",
        apiserver_arguments: Sequence[str] = (),
        audit: Audit | None = None,
        queries_per_second: int | None = None,
        outlive: bool = False,
    ) -> None:
        """Describe a control plane; nothing starts yet.

        `queries_per_second` lifts the client limits of controller-manager and scheduler, for load tests.
        With `outlive` the processes go on when this Python ends; else the kernel ends them with it.
        """
        self.directory = directory
        self.address = address
        self.name = name
        self.ports = self._remembered(ports)
        self.kubeconfig = directory / "kubeconfig"
        self.authority = Authority(directory / "certificates")
        self._apiserver_arguments = [*apiserver_arguments, *_audit_arguments(audit)]
        self._queries_per_second = queries_per_second
        self._outlive = outlive
        self._components = {name: self._component(name) for name in _COMPONENTS}

    @property
    def server(self) -> str:
        """The apiserver's URL."""
        return f"https://{self.address}:{self.ports.apiserver}"

    def component(self, name: str) -> Process:
        """One component, to look at its log or its process."""
        if name not in self._components:
            raise ClusterError(f"a control plane has no {name}; it has: {', '.join(self._components)}")
        return self._components[name]

    def api(self) -> Api:
        """A client with the administrator's rights."""
        return Api(self.server, authority=self.authority.root.certificate, login=self._administrator())

    def start(self, *, seconds: float = 120) -> None:
        """Start what does not run and wait until all of it is ready."""
        kubeconfig.write(
            self.kubeconfig,
            name=self.name,
            server=self.server,
            authority=self.authority.root.certificate,
            login=self._administrator(),
        )
        self.component("etcd").start()
        self.component("kube-apiserver").start()
        # The other two end at once when they come before the apiserver has made their roles.
        self._wait("the apiserver's readiness", self._apiserver_unready, seconds)
        self.component("kube-controller-manager").start()
        self.component("kube-scheduler").start()
        self.wait_ready(seconds=seconds)

    def stop(self) -> None:
        """End all components, those that write first."""
        for component in reversed(self._components.values()):
            component.stop()

    def kill(self, name: str) -> None:
        """End one component as a crash would (SIGKILL)."""
        self.component(name).kill()

    def stop_component(self, name: str) -> None:
        """End one component in order (SIGTERM)."""
        self.component(name).stop()

    def restart(self, name: str, *, sign: signal.Signals = signal.SIGTERM) -> None:
        """End one component and start it again; returns when the control plane is ready."""
        self.component(name).stop(sign)
        self.start()

    def wait_ready(self, *, seconds: float = 120) -> None:
        """Wait until the apiserver, the controllers and the scheduler answer, and pods could be created."""
        self._wait("readiness", self._unready, seconds)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait(self, what: str, reason: Callable[[Api], str | None], seconds: float) -> None:
        with closing(self.api()) as api:
            waiting.until(f"{self.name}: {what}", lambda: reason(api), seconds=seconds)

    def _apiserver_unready(self, api: Api) -> str | None:
        for name in ("etcd", "kube-apiserver"):
            self._raise_if_ended(name)
        return api.healthy("/readyz")

    def _unready(self, api: Api) -> str | None:
        if (reason := self._apiserver_unready(api)) is not None:
            return reason
        for name, port in (
            ("kube-controller-manager", self.ports.controller_manager),
            ("kube-scheduler", self.ports.scheduler),
        ):
            self._raise_if_ended(name)
            component = Api(f"https://{LOOPBACK}:{port}", authority=self.authority.root.certificate, login=None)
            reason = component.healthy("/healthz")
            component.close()
            if reason is not None:
                return f"{name}: {reason}"
        try:  # no pod is admitted before its ServiceAccount exists
            api.get("/api/v1/namespaces/default/serviceaccounts/default")
        except (ApiError, OSError) as error:
            return str(error)
        return None

    def _raise_if_ended(self, name: str) -> None:
        component = self.component(name)
        if not component.running:
            raise ClusterError(f"{name} has ended: {component.last_words()}")

    def _remembered(self, ports: Ports | None) -> Ports:
        """The ports of the last start in this folder, so that a restart is found where its clients look for it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        file = self.directory / "ports.json"
        if ports is None:
            ports = Ports(**json.loads(file.read_text())) if file.exists() else Ports.free()
        file.write_text(json.dumps(asdict(ports)))
        return ports

    def _administrator(self) -> Certificate:
        return self.authority.client("administrator", user="administrator", group="system:masters")

    def _component(self, name: str) -> Process:
        arguments = {
            "etcd": self._etcd,
            "kube-apiserver": self._apiserver,
            "kube-controller-manager": self._controller_manager,
            "kube-scheduler": self._scheduler,
        }[name]()
        module = "etcd" if name == "etcd" else "kubernetes"
        command: list[str | Path] = [build.program(module, name), *arguments]
        return Process(name, command, self.directory, outlive=self._outlive)

    def _etcd(self) -> list[str]:
        client, peer = (f"http://{LOOPBACK}:{port}" for port in (self.ports.etcd, self.ports.etcd_peer))
        return [
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",  # the data need not survive a power cut, and tests write a lot
            "--log-level=warn",
        ]

    def _apiserver(self) -> list[str]:
        serving = self.authority.server(
            "kube-apiserver", hosts=_SERVER_NAMES, addresses=sorted({self.address, LOOPBACK, KUBERNETES_SERVICE})
        )
        kubelet_client = self.authority.client("apiserver-to-kubelet", user="apiserver", group="system:masters")
        token_key = self.authority.service_account_key()
        # The Service `kubernetes` may not point to a loopback address; without a node nobody asks for it.
        reconciler = "none" if self.address == LOOPBACK else "lease"
        return [
            f"--bind-address={self.address}",
            f"--advertise-address={self.address}",
            f"--secure-port={self.ports.apiserver}",
            f"--endpoint-reconciler-type={reconciler}",
            f"--etcd-servers=http://{LOOPBACK}:{self.ports.etcd}",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={self.authority.root.certificate}",
            f"--kubelet-certificate-authority={self.authority.root.certificate}",
            f"--kubelet-client-certificate={kubelet_client.certificate}",
            f"--kubelet-client-key={kubelet_client.key}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={token_key}",
            f"--service-account-signing-key-file={token_key}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            # Watches of the components would hold up the end of the apiserver for a minute.
            "--shutdown-watch-termination-grace-period=1s",
            *self._apiserver_arguments,
        ]

    def _controller_manager(self) -> list[str]:
        root = self.authority.root
        return [
            *self._client_arguments("kube-controller-manager", self.ports.controller_manager),
            f"--root-ca-file={root.certificate}",
            f"--cluster-signing-cert-file={root.certificate}",
            f"--cluster-signing-key-file={root.key}",
            f"--service-account-private-key-file={self.authority.service_account_key()}",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            "--use-service-account-credentials",
        ]

    def _scheduler(self) -> list[str]:
        return self._client_arguments("kube-scheduler", self.ports.scheduler)

    def _client_arguments(self, name: str, port: int) -> list[str]:
        """What controller-manager and scheduler have in common."""
        login = self.component_kubeconfig(name, user=f"system:{name}")
        serving = self.authority.server("localhost", hosts=["localhost"], addresses=[LOOPBACK])
        limits: list[str] = []
        if self._queries_per_second is not None:
            limits = [
                f"--kube-api-qps={self._queries_per_second}",
                f"--kube-api-burst={2 * self._queries_per_second}",
            ]
        return [
            f"--kubeconfig={login}",
            f"--authentication-kubeconfig={login}",
            f"--authorization-kubeconfig={login}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={port}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            "--leader-elect=false",  # there is one of each, and an election only delays the start
            *limits,
        ]

    def component_kubeconfig(self, name: str, *, user: str, group: str = "") -> Path:
        """The kubeconfig with which one component logs in."""
        path = self.directory / "kubeconfigs" / name
        kubeconfig.write(
            path,
            name=name,
            server=self.server,
            authority=self.authority.root.certificate,
            login=self.authority.client(name, user=user, group=group),
        )
        return path


def _audit_arguments(audit: Audit | None) -> list[str]:
    if audit is None:
        return []
    return [
        f"--audit-policy-file={audit.policy}",
        f"--audit-log-path={audit.log}",
        "--audit-log-format=json",
        "--audit-log-maxsize=1000000",  # MB; the default makes a new file after 100, and whoever counts lines sees half
    ]
