"""An apiserver that falls back to an older state: watches from before are silent for ever, so the operator ends."""

import shutil
from pathlib import Path

from tests.integration.controller.objects import Namespace, backend
from tests.integration.controller.operator_process import OperatorProcess, eventually
from tests.integration.running_control_plane import RunningControlPlane

VERSION_FELL = 3
LEASE_LOST = 1


def test_operators_end_when_etcd_was_restored(own_control_plane: RunningControlPlane, tmp_path: Path) -> None:
    """The standby always learns of it; the leader too, unless the apiserver was away longer than its Lease lasts."""
    cluster = own_control_plane
    cluster.kubectl("create", "namespace", "test")
    here = Namespace(cluster, "test")
    long = {"SPLAI_LEASE_SECONDS": "30"}  # of which a leader may miss 20: etcd is stopped, copied and started
    leader = OperatorProcess.start(tmp_path / "leader.log", kubeconfig=cluster.kubeconfig, namespace="test", **long)
    eventually(lambda: leader.leading, "the first leads")
    saved = tmp_path / "saved"
    data = cluster.processes.directory / "etcd"
    standby = OperatorProcess.start(tmp_path / "standby.log", kubeconfig=cluster.kubeconfig, namespace="test", **long)
    try:
        eventually(lambda: bool(standby.metric("splai_operator_leader")), "the second waits")
        cluster.processes.component("etcd").stop()
        shutil.copytree(data, saved)
        cluster.start()
        here.apply(backend())
        eventually(lambda: here.uid("service", "tiny") is not None, "things go on")
        leader.goes_on_for_a_while()

        for component in ("kube-apiserver", "etcd"):
            cluster.kill(component)
        shutil.rmtree(data)
        saved.rename(data)
        cluster.start()

        assert here.all("mb") == []
        assert standby.process.wait(timeout=60) == VERSION_FELL
        assert leader.process.wait(timeout=60) in (VERSION_FELL, LEASE_LOST)
        last_words = standby.log.read_text().splitlines()[-1]
        assert '"message": "the apiserver fell back to an older state"' in last_words
        assert "the lease is at version" in last_words
    finally:
        for operator in (leader, standby):
            operator.process.kill()
            operator.process.wait()
