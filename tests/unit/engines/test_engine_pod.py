from typing import Any

import pytest

from splai.api.model_backend import ModelBackendSpec
from splai.engines import ENGINE_CONTAINER, EnginePod, engine_pod
from splai.engines.images import EngineImages

IMAGES = EngineImages(llamacpp="splai/llamacpp:1", vllm="vllm/vllm-openai:v1", ollama="ollama/ollama:1")

LLAMACPP: dict[str, Any] = {"model": {"id": "smol"}}
VLLM: dict[str, Any] = {"model": {"id": "qwen", "source": "hf://Qwen/Qwen3-0.6B"}, "engine": {"type": "vLLM"}}
OLLAMA: dict[str, Any] = {"model": {"id": "small", "source": "ollama://smollm2:135m"}, "engine": {"type": "Ollama"}}
CUSTOM: dict[str, Any] = {"model": {"id": "mine"}, "engine": {"type": "Custom", "image": "me/server:2"}}
EVERY_ENGINE = pytest.mark.parametrize(
    "spec", [LLAMACPP, VLLM, OLLAMA, CUSTOM], ids=["LlamaCpp", "vLLM", "Ollama", "Custom"]
)


def pod_of(spec: dict[str, Any], **more: Any) -> EnginePod:
    return engine_pod(ModelBackendSpec.model_validate(spec | more), IMAGES)


def with_engine(spec: dict[str, Any], **engine: Any) -> dict[str, Any]:
    return spec | {"engine": spec.get("engine", {}) | engine}


def with_model(spec: dict[str, Any], **model: Any) -> dict[str, Any]:
    return spec | {"model": spec["model"] | model}


def option(pod: EnginePod, name: str) -> str | None:
    """The value of a command line option, None when it is not given."""
    args = pod.container["args"]
    return args[args.index(name) + 1] if name in args else None


@EVERY_ENGINE
def test_the_container_meets_pod_security_restricted_on_a_read_only_root(spec: dict[str, Any]) -> None:
    security = pod_of(spec).container["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}


@EVERY_ENGINE
def test_every_mount_has_its_volume_and_tmp_can_be_written(spec: dict[str, Any]) -> None:
    pod = pod_of(with_model(spec, source="pvc://weights/m.gguf"))
    mounts = {mount["name"]: mount["mountPath"] for mount in pod.container["volumeMounts"]}
    assert set(mounts) == {volume["name"] for volume in pod.volumes}
    assert mounts["tmp"] == "/tmp"
    assert {"name": "tmp", "emptyDir": {}} in pod.volumes


@EVERY_ENGINE
def test_a_model_may_take_half_an_hour_to_load(spec: dict[str, Any]) -> None:
    probe = pod_of(spec).container["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 30 * 60


@pytest.mark.parametrize(
    ("spec", "port", "path"),
    [
        (LLAMACPP, 8080, "/health"),
        (VLLM, 8000, "/health"),
        (CUSTOM, 8000, "/v1/models"),
        (with_engine(CUSTOM, port=9000, healthPath="/ready"), 9000, "/ready"),
    ],
)
def test_the_port_is_named_http_and_all_probes_ask_it(spec: dict[str, Any], port: int, path: str) -> None:
    pod = pod_of(spec)
    assert pod.port == port
    assert pod.container["ports"] == [{"name": "http", "containerPort": port, "protocol": "TCP"}]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert pod.container[probe]["httpGet"] == {"path": path, "port": "http"}


@pytest.mark.parametrize(
    ("spec", "image"),
    [
        (LLAMACPP, "splai/llamacpp:1"),
        (VLLM, "vllm/vllm-openai:v1"),
        (OLLAMA, "ollama/ollama:1"),
        (CUSTOM, "me/server:2"),
        (with_engine(LLAMACPP, image="other:1"), "other:1"),
        (with_engine(VLLM, image="other:1"), "other:1"),
    ],
)
def test_the_image_is_the_installations_unless_the_backend_names_one(spec: dict[str, Any], image: str) -> None:
    assert pod_of(spec).container["image"] == image


@pytest.mark.parametrize("spec", [LLAMACPP, VLLM, CUSTOM], ids=["LlamaCpp", "vLLM", "Custom"])
def test_the_users_arguments_come_last(spec: dict[str, Any]) -> None:
    pod = pod_of(with_engine(spec, args=["--ctx-size", "4096"]))
    assert pod.container["name"] == ENGINE_CONTAINER
    assert pod.container["args"][-2:] == ["--ctx-size", "4096"]


@pytest.mark.parametrize(
    ("gpu", "limits"),
    [
        ({}, {"nvidia.com/gpu": "1"}),
        ({"count": 2}, {"nvidia.com/gpu": "2"}),
        ({"vendor": "amd"}, {"amd.com/gpu": "1"}),
        ({"vendor": "intel"}, {"gpu.intel.com/i915": "1"}),
        ({"profile": "mig-1g.10gb"}, {"nvidia.com/mig-1g.10gb": "1"}),
    ],
)
def test_gpus_are_limits_of_the_vendors_extended_resource(gpu: dict[str, Any], limits: dict[str, str]) -> None:
    assert pod_of(LLAMACPP, resources={"gpu": gpu}).container["resources"] == {"limits": limits}


def test_memory_is_a_limit_and_cpu_a_request() -> None:
    resources = pod_of(LLAMACPP, resources={"cpu": 2, "memory": "4Gi"}).container["resources"]
    assert resources == {"limits": {"memory": "4Gi"}, "requests": {"cpu": "2"}}


def test_without_resources_nothing_is_asked_for() -> None:
    assert "resources" not in pod_of(LLAMACPP).container


class TestLlamaCpp:
    def test_without_a_source_the_image_serves_its_own_model(self) -> None:
        assert option(pod_of(LLAMACPP), "--model") is None

    @pytest.mark.parametrize(
        ("source", "path"),
        [("file:///models/a.gguf", "/models/a.gguf"), ("pvc://weights/llama/a.gguf", "/models/llama/a.gguf")],
    )
    def test_a_source_becomes_the_path_of_the_model(self, source: str, path: str) -> None:
        assert option(pod_of(with_model(LLAMACPP, source=source)), "--model") == path

    def test_a_claim_is_mounted_read_only(self) -> None:
        pod = pod_of(with_model(LLAMACPP, source="pvc://weights/a.gguf"))
        claim = {"claimName": "weights", "readOnly": True}
        assert {"name": "models", "persistentVolumeClaim": claim} in pod.volumes
        assert {"name": "models", "mountPath": "/models", "readOnly": True} in pod.container["volumeMounts"]

    def test_it_answers_under_the_models_id(self) -> None:
        assert option(pod_of(LLAMACPP), "--alias") == "smol"

    def test_all_layers_go_to_the_gpu_if_there_is_one(self) -> None:
        assert option(pod_of(LLAMACPP), "--n-gpu-layers") is None
        assert option(pod_of(LLAMACPP, resources={"gpu": {}}), "--n-gpu-layers") == "999"

    @pytest.mark.parametrize(
        ("spec", "pooling"),
        [
            (LLAMACPP, "mean"),
            (with_model(LLAMACPP, source="file:///bge.gguf"), None),
            (with_engine(LLAMACPP, image="other:1"), None),
        ],
        ids=["our image's chat model", "a model of the user's", "an image of the user's"],
    )
    def test_embeddings_are_served_but_pooling_is_set_only_for_our_own_model(
        self, spec: dict[str, Any], pooling: str | None
    ) -> None:
        pod = pod_of(spec)
        assert "--embeddings" in pod.container["args"]
        assert option(pod, "--pooling") == pooling

    def test_llama_cpps_own_images_run_as_root_unless_told_a_user(self) -> None:
        pod = pod_of(with_engine(LLAMACPP, image="llama.cpp:server-cuda"))
        assert pod.container["securityContext"]["runAsUser"] > 0

    def test_the_prompt_cache_fits_into_a_small_pod(self) -> None:
        assert option(pod_of(LLAMACPP), "--cache-ram") == "128"


class TestVLLM:
    @pytest.mark.parametrize(
        ("source", "model"),
        [
            ("hf://Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B"),
            ("file:///opt/model", "/opt/model"),
            ("pvc://weights/qwen", "/models/qwen"),
            ("pvc://weights", "/models"),
        ],
    )
    def test_the_source_is_what_vllm_serves(self, source: str, model: str) -> None:
        container = pod_of(with_model(VLLM, source=source)).container
        assert [*container["command"], container["args"][0]] == ["vllm", "serve", model]

    def test_it_answers_under_the_id_and_every_alias(self) -> None:
        args = pod_of(with_model(VLLM, aliases=["gpt-4o-mini", "llama3.1:8b"])).container["args"]
        first = args.index("--served-model-name") + 1
        assert args[first:] == ["qwen", "gpt-4o-mini", "llama3.1:8b"]

    @pytest.mark.parametrize(
        ("gpu", "tensor_parallel"),
        [({"count": 1}, None), ({"count": 4}, "4"), ({"count": 2, "profile": "mig-1g.10gb"}, None)],
    )
    def test_whole_gpus_share_the_model(self, gpu: dict[str, Any], tensor_parallel: str | None) -> None:
        assert option(pod_of(VLLM, resources={"gpu": gpu}), "--tensor-parallel-size") == tensor_parallel

    def test_caches_and_shared_memory_are_the_pods_own(self) -> None:
        pod = pod_of(VLLM)
        assert {"name": "shm", "emptyDir": {"medium": "Memory"}} in pod.volumes
        mounts = {mount["mountPath"] for mount in pod.container["volumeMounts"]}
        env = {variable["name"]: variable["value"] for variable in pod.container["env"]}
        assert {"/dev/shm", env["HOME"]} <= mounts
        assert env["HF_HOME"].startswith(f"{env['HOME']}/")

    def test_its_image_runs_as_root_unless_told_a_user(self) -> None:
        assert pod_of(VLLM).container["securityContext"]["runAsUser"] > 0


class TestCustom:
    def test_the_command_is_the_users(self) -> None:
        container = pod_of(with_engine(CUSTOM, command=["serve"], args=["--fast"])).container
        assert (container["command"], container["args"]) == (["serve"], ["--fast"])

    def test_without_command_and_arguments_the_images_own_run(self) -> None:
        container = pod_of(CUSTOM).container
        assert "command" not in container
        assert "args" not in container
