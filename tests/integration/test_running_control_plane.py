"""The fixtures themselves: what the other integration tests take for granted."""

import pytest

from tests.integration.running_control_plane import KubectlError, RunningControlPlane


def test_both_resources_are_known(control_plane: RunningControlPlane) -> None:
    names = control_plane.kubectl("api-resources", "--api-group=splai.dev", "--output=name").split()

    assert sorted(names) == ["inferencejobs.splai.dev", "modelbackends.splai.dev"]


def test_a_refused_command_raises_what_kubectl_said(control_plane: RunningControlPlane, namespace: str) -> None:
    with pytest.raises(KubectlError, match=r'inferencejobs\.splai\.dev "absent" not found'):
        control_plane.kubectl("-n", namespace, "get", "inferencejob", "absent")


def test_objects_survive_the_crash_of_a_component(control_plane: RunningControlPlane, namespace: str) -> None:
    control_plane.kubectl("-n", namespace, "create", "configmap", "kept")

    control_plane.kill("kube-apiserver")
    control_plane.start()

    assert control_plane.kubectl("-n", namespace, "get", "configmap", "kept", "--output=name") == "configmap/kept\n"
