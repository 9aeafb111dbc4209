"""Where the connection to the apiserver leads."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from splai.kube.connection import load_configuration

WriteKubeconfig = Callable[..., None]

PROXY = "http://proxy.example.com:3128"


@pytest.fixture(autouse=True)
def write_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteKubeconfig:
    """Write the kubeconfig that the environment names; there is no proxy of the machine's own."""
    file = tmp_path / "kubeconfig"

    def write(**cluster: str) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": "https://api.example.com:6443", **cluster}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
        }
        file.write_text(json.dumps(body))

    write()
    monkeypatch.setenv("KUBECONFIG", str(file))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return write


async def test_the_kubeconfig_names_the_server() -> None:
    configuration = await load_configuration()

    assert configuration.host == "https://api.example.com:6443"
    assert configuration.proxy is None


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("HTTP_PROXY", "http://another.example.com:3128")

    assert (await load_configuration()).proxy == PROXY


@pytest.mark.parametrize("exceptions", ["example.com", ".example.com", "other.org,api.example.com", "*"])
async def test_no_proxy_is_obeyed(monkeypatch: pytest.MonkeyPatch, exceptions: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", exceptions)

    assert (await load_configuration()).proxy is None


async def test_a_proxy_that_the_kubeconfig_names_goes_first(
    write_kubeconfig: WriteKubeconfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_kubeconfig(**{"proxy-url": "http://its-own.example.com:3128"})
    monkeypatch.setenv("HTTPS_PROXY", PROXY)

    assert (await load_configuration()).proxy == "http://its-own.example.com:3128"
