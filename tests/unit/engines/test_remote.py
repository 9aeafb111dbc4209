"""The pod of a Remote backend: an adapter with a key that only the kubelet reads."""

from typing import Any

import click
import pytest
from click.testing import CliRunner

from splai.adapter.settings import Settings
from splai.api.model_backend import ModelBackendSpec
from splai.cli import adapter_serve
from splai.engines import EngineImages, EnginePod, engine_pod

IMAGES = EngineImages(llamacpp="splai/llamacpp:1", vllm="vllm/vllm-openai:v1", splai="splai/splai:1")
KEY = {"name": "keys", "key": "anthropic"}
REMOTE: dict[str, Any] = {"provider": "Anthropic", "apiKeySecretRef": KEY}


def pod_of(remote: dict[str, Any], *, allow_private_urls: bool = False, **spec: Any) -> EnginePod:
    model = {"id": "claude", "aliases": ["gpt-4-mini"]}
    whole = {"model": model, "engine": {"type": "Remote"}, "remote": remote, **spec}
    return engine_pod(ModelBackendSpec.model_validate(whole), IMAGES, allow_private_urls=allow_private_urls)


def settings_of(pod: EnginePod, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What the adapter makes of its arguments."""
    found: list[Settings] = []
    monkeypatch.setattr("splai.adapter.server.serve", found.append)
    group, command, *options = pod.container["args"]
    assert (group, command) == ("adapter", "serve")
    assert isinstance(adapter_serve, click.Command)
    done = CliRunner().invoke(adapter_serve, options)
    assert done.exit_code == 0, done.output
    (settings,) = found
    return settings


def test_it_runs_splais_own_image_as_restricted_pods_must() -> None:
    container = pod_of(REMOTE).container

    assert container["image"] == "splai/splai:1"
    assert container["securityContext"]["runAsUser"] == 65532
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert "env" not in container


def test_the_adapter_understands_what_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    remote = {"baseURL": "https://a", "deployment": "d", "apiVersion": "2024-10-21", "apiKeySecretRef": KEY}
    pod = pod_of({"provider": "AzureOpenAI", **remote})
    settings = settings_of(pod, monkeypatch)

    assert (settings.provider, settings.base_url) == ("AzureOpenAI", "https://a")
    assert (settings.deployment, settings.api_version) == ("d", "2024-10-21")
    assert (settings.served, settings.model) == (("claude", "gpt-4-mini"), None)
    assert settings.port == pod.port


def test_the_key_is_where_the_adapter_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pod = pod_of(REMOTE)
    (volume,) = [it for it in pod.volumes if "secret" in it]
    (mount,) = [it for it in pod.container["volumeMounts"] if it["name"] == volume["name"]]
    (item,) = volume["secret"]["items"]

    assert (volume["secret"]["secretName"], item["key"]) == ("keys", "anthropic")
    assert (mount["readOnly"], "subPath" in mount) == (True, False), "a file that is mounted alone never changes"
    assert str(settings_of(pod, monkeypatch).api_key_file) == f"{mount['mountPath']}/{item['path']}"


def test_a_missing_secret_is_told_by_the_adapter_and_not_by_a_pod_that_waits() -> None:
    pod = pod_of(REMOTE)

    assert [it["secret"]["optional"] for it in pod.volumes if "secret" in it] == [True]
    assert pod.container["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_without_a_key_nothing_is_mounted(monkeypatch: pytest.MonkeyPatch) -> None:
    pod = pod_of({"provider": "OpenAICompatible", "baseURL": "http://ollama:11434"})

    assert [it for it in pod.volumes if "secret" in it] == []
    assert settings_of(pod, monkeypatch).api_key_file is None


@pytest.mark.parametrize("allowed", [False, True])
def test_only_the_installation_lifts_the_guard(monkeypatch: pytest.MonkeyPatch, allowed: bool) -> None:
    monkeypatch.setenv("SPLAI_ALLOW_PRIVATE_URLS", "true")  # as a template of the user's could have it

    pod = pod_of(REMOTE, allow_private_urls=allowed)
    assert settings_of(pod, monkeypatch).allow_private_urls is allowed


@pytest.mark.parametrize(
    ("asked", "resources"),
    [
        ({}, {"limits": {"memory": "256Mi"}, "requests": {"cpu": "50m"}}),
        ({"cpu": 1, "memory": "1Gi"}, {"limits": {"memory": "1Gi"}, "requests": {"cpu": "1"}}),
    ],
)
def test_it_needs_little(asked: dict[str, Any], resources: dict[str, Any]) -> None:
    assert pod_of(REMOTE, resources=asked).container["resources"] == resources
