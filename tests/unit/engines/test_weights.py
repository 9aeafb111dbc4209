"""Where an engine finds its weights, and what has to be fetched for it."""

from typing import Any

import pytest

from splai.api.model_backend import Model, ModelBackendSpec
from splai.engines import EnginePod, engine_pod
from splai.engines.images import EngineImages
from splai.engines.weights import Weights, model_weights

IMAGES = EngineImages(llamacpp="llamacpp:1", vllm="vllm:1")


def weights(source: str, *, one_file: bool = False, **model: Any) -> Weights:
    return model_weights(Model.model_validate({"id": "m", "source": source, **model}), one_file=one_file)


def pod_of(engine: str = "LlamaCpp", template: dict[str, Any] | None = None, **model: Any) -> EnginePod:
    spec = {"model": {"id": "m", **model}, "engine": {"type": engine}, "template": template}
    return engine_pod(ModelBackendSpec.model_validate(spec), IMAGES)


@pytest.mark.parametrize(
    ("source", "location", "revision"),
    [
        ("hf://team/model", "team/model", None),
        ("hf://team/model@v1.0", "team/model", "v1.0"),
        ("file:///opt/model", "/opt/model", None),
        ("pvc://claim", "/models", None),
        ("pvc://claim/a/b/", "/models/a/b", None),
        ("oci://registry.example:5000/team/model:1", "/models", None),
        ("oci://registry.example/model@sha256:00#weights/q4", "/models/weights/q4", None),
    ],
)
def test_what_needs_no_fetching(source: str, location: str, revision: str | None) -> None:
    found = weights(source)

    assert (found.location, found.revision, found.fetches) == (location, revision, ())


def test_an_image_is_a_volume() -> None:
    (mount,) = weights("oci://registry.example/model:1#weights").mounts

    assert mount.volume == {"name": "models", "image": {"reference": "registry.example/model:1"}}
    assert mount.read_only


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("s3://bucket/models/m.gguf", "m.gguf"),
        ("hf://team/model/q4/m.gguf", "m.gguf"),
        ("https://example.org/a%20b/m%20q4.gguf?token=x", "m q4.gguf"),
        ("https://example.org/", "model"),
    ],
)
def test_one_file_keeps_its_name(source: str, file: str) -> None:
    found = weights(source, one_file=True)
    (fetch,) = found.fetches

    assert fetch.file == file
    assert found.location == f"{fetch.folder}/{file}"


def test_a_folder_is_where_the_fetch_puts_it() -> None:
    found = weights("s3://bucket/models/llama")
    (fetch,) = found.fetches

    assert (found.location, fetch.file) == (fetch.folder, None)
    assert fetch.folder.startswith("/fetched/weights/")


def test_other_sources_are_other_folders_and_the_same_one_is_the_same() -> None:
    sources: list[dict[str, Any]] = [
        {"source": "s3://bucket/a"},
        {"source": "s3://bucket/b"},
        {"source": "s3://bucket/a", "s3": {"endpoint": "http://minio:9000"}},
        {"source": "https://example.org/a"},
        {"source": "https://example.org/a", "sha256": "0" * 64},
    ]

    folders = {weights(**source).location for source in sources}

    assert len(folders) == len(sources)
    assert weights(**sources[0]).location == weights(**sources[0], credentials={"name": "s"}).location


def test_the_command_has_all_that_the_source_needs() -> None:
    pod = pod_of(
        source="s3://bucket/m.gguf",
        s3={"endpoint": "http://minio:9000", "region": "eu-1"},
        credentials={"name": "keys"},
    )
    (fetch,) = pod.fetches

    *options, source, folder = fetch["args"]
    assert options == [
        "model",
        "fetch",
        "--file",
        "m.gguf",
        "--s3-endpoint",
        "http://minio:9000",
        "--s3-region",
        "eu-1",
    ]
    assert (source, f"{folder}/m.gguf") == ("s3://bucket/m.gguf", pod.container["args"][-1])
    assert fetch["envFrom"] == [{"secretRef": {"name": "keys"}}]


def test_the_engine_has_none_of_the_keys_of_a_bucket() -> None:
    pod = pod_of("vLLM", source="s3://bucket/m", credentials={"name": "keys"})

    assert "keys" not in str(pod.container)


def test_a_checksum_is_the_models_and_not_its_adapters() -> None:
    pod = pod_of(source="https://example.org/m.gguf", sha256="0" * 64)

    assert pod.fetches[0]["args"][2:6] == ["--file", "m.gguf", "--sha256", "0" * 64]


def test_the_template_gets_a_fetch_through_a_proxy_too() -> None:
    template = {
        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}, {"name": "SPLAI_X", "value": "1"}],
        "volumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "volumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}, {"name": "ca", "mountPath": "/fetched"}],
    }

    (fetch,) = pod_of(source="https://example.org/m.gguf", template=template).fetches

    assert fetch["env"] == [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]
    assert [mount["mountPath"] for mount in fetch["volumeMounts"]] == ["/tmp", "/fetched", "/etc/ca"]


def test_a_fetch_meets_pod_security_restricted() -> None:
    (fetch,) = pod_of(source="https://example.org/m.gguf").fetches

    security = fetch["securityContext"]
    assert security["runAsNonRoot"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}


def test_downloads_land_on_the_cache() -> None:
    pod = pod_of(source="https://example.org/m.gguf", cache={"claimName": "shared"})

    assert pod.fetches[0]["args"][-1].startswith("/model-cache/weights/")
    assert {"name": "model-cache", "persistentVolumeClaim": {"claimName": "shared"}} in pod.volumes
    assert {"name": "model-cache", "mountPath": "/model-cache"} in pod.container["volumeMounts"]
