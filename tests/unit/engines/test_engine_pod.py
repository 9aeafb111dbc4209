from pathlib import Path
from typing import Any, ClassVar

import pytest

from splai.api.model_backend import ModelBackendSpec
from splai.engines import ENGINE_CONTAINER, EnginePod, engine_pod
from splai.engines.images import EngineImages

IMAGES = EngineImages(
    llamacpp="splai/llamacpp:1",
    vllm="vllm/vllm-openai:v1",
    sglang="sglang:1",
    tgi="tgi:1",
    ollama="ollama/ollama:1",
    splai="splai/splai:1",
)

DOCS = Path(__file__).parents[3] / "docs" / "model-backends.md"
LOADS = (
    DOCS.read_text()
    .partition("| Engine | Loads for at most | Until it has, it |\n|---|---|---|\n")[2]
    .partition("\n\n")[0]
)

LLAMACPP: dict[str, Any] = {"model": {"id": "smol"}}
VLLM: dict[str, Any] = {"model": {"id": "qwen", "source": "hf://Qwen/Qwen3-0.6B"}, "engine": {"type": "vLLM"}}
OLLAMA: dict[str, Any] = {"model": {"id": "small", "source": "ollama://smollm2:135m"}, "engine": {"type": "Ollama"}}
CUSTOM: dict[str, Any] = {"model": {"id": "mine"}, "engine": {"type": "Custom", "image": "me/server:2"}}
SGLANG: dict[str, Any] = VLLM | {"engine": {"type": "SGLang"}}
TGI: dict[str, Any] = VLLM | {"engine": {"type": "TGI"}}
TRANSFORMERS: dict[str, Any] = VLLM | {"engine": {"type": "Transformers", "image": "me/serving:1"}}
WORKFLOW: dict[str, Any] = {
    "model": {"id": "support_desk"},
    "engine": {"type": "Workflow"},
    "workflow": {"callable": "support_desk.workflow:answer", "configMap": {"name": "desk"}},
}
EVERY_ENGINE = pytest.mark.parametrize(
    "spec",
    [LLAMACPP, VLLM, OLLAMA, SGLANG, TGI, TRANSFORMERS, CUSTOM, WORKFLOW],
    ids=["LlamaCpp", "vLLM", "Ollama", "SGLang", "TGI", "Transformers", "Custom", "Workflow"],
)
ON_THE_HUB = pytest.mark.parametrize(
    "spec", [VLLM, SGLANG, TGI, TRANSFORMERS], ids=["vLLM", "SGLang", "TGI", "Transformers"]
)
WITH_ADAPTERS = pytest.mark.parametrize("spec", [VLLM, SGLANG, TGI], ids=["vLLM", "SGLang", "TGI"])


def pod_of(spec: dict[str, Any], **more: Any) -> EnginePod:
    return engine_pod(ModelBackendSpec.model_validate(spec | more), IMAGES)


def with_engine(spec: dict[str, Any], **engine: Any) -> dict[str, Any]:
    return spec | {"engine": spec.get("engine", {}) | engine}


def with_model(spec: dict[str, Any], **model: Any) -> dict[str, Any]:
    return spec | {"model": spec["model"] | model}


def with_workflow(**workflow: Any) -> dict[str, Any]:
    return WORKFLOW | {"workflow": WORKFLOW["workflow"] | workflow}


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
def test_a_model_may_take_as_long_to_load_as_the_docs_say(spec: dict[str, Any]) -> None:
    engine = spec.get("engine", {}).get("type", "LlamaCpp")
    row = next(row for row in LOADS.splitlines() if f"`{engine}`" in row.split("|")[1])
    probe = pod_of(spec).container["startupProbe"]
    assert f"| {probe['periodSeconds'] * probe['failureThreshold'] // 60} minutes" in row


def test_a_server_that_compiles_may_take_longer_than_one_that_does_not() -> None:
    tries = [pod_of(spec).container["startupProbe"]["failureThreshold"] for spec in (LLAMACPP, OLLAMA, VLLM)]
    assert tries == sorted(set(tries))


@pytest.mark.parametrize(
    ("spec", "port", "path"),
    [
        (LLAMACPP, 8080, "/health"),
        (VLLM, 8000, "/health"),
        (SGLANG, 8000, "/health"),
        (TGI, 8080, "/health"),
        (TRANSFORMERS, 8000, "/health"),
        (CUSTOM, 8000, "/v1/models"),
        (WORKFLOW, 8000, "/health"),
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
        (SGLANG, "sglang:1"),
        (TGI, "tgi:1"),
        (TRANSFORMERS, "me/serving:1"),
        (OLLAMA, "ollama/ollama:1"),
        (CUSTOM, "me/server:2"),
        (WORKFLOW, "splai/splai:1"),
        (with_workflow(image="me/graphs:3"), "me/graphs:3"),
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


@EVERY_ENGINE
def test_gpus_say_where_the_pod_may_go(spec: dict[str, Any]) -> None:
    assert pod_of(spec).placement is None
    placement = pod_of(spec, resources={"gpu": {"vendor": "amd", "product": "AMD_Instinct_MI300X_OAM"}}).placement
    assert placement is not None
    assert placement.node_selector == {"amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM"}


def test_memory_is_a_limit_and_cpu_a_request() -> None:
    resources = pod_of(LLAMACPP, resources={"cpu": 2, "memory": "4Gi"}).container["resources"]
    assert resources == {"limits": {"memory": "4Gi"}, "requests": {"cpu": "2"}}


DOWNLOADED = {"source": "https://example.org/m.gguf"}
CACHED = {"cache": {"claimName": "shared"}}


@pytest.mark.parametrize(
    ("spec", "requests"),
    [
        (LLAMACPP, {"cpu": "100m", "memory": "1Gi"}),
        (with_model(LLAMACPP, **DOWNLOADED), {"cpu": "100m", "memory": "1Gi", "ephemeral-storage": "2Gi"}),
        (with_model(LLAMACPP, **DOWNLOADED, **CACHED), {"cpu": "100m", "memory": "1Gi"}),
        (OLLAMA, {"cpu": "100m", "memory": "1Gi", "ephemeral-storage": "2Gi"}),
        (with_model(OLLAMA, source="pvc://weights/m.gguf"), {"ephemeral-storage": "2Gi"}),
        (VLLM, {"cpu": "2", "memory": "6Gi", "ephemeral-storage": "20Gi"}),
        (VLLM | {"resources": {"gpu": {"count": 4}}}, {"cpu": "5", "memory": "24Gi"}),
        (VLLM | {"resources": {"gpu": {"count": 4, "profile": "mig-1g.10gb"}}}, {"cpu": "2", "memory": "6Gi"}),
        (SGLANG | {"resources": {"gpu": {"count": 2}}}, {"cpu": "3", "memory": "12Gi", "ephemeral-storage": "20Gi"}),
        (TGI, {"cpu": "2", "memory": "6Gi", "ephemeral-storage": "20Gi"}),
        (TRANSFORMERS | {"resources": {"gpu": {"count": 2}}}, {"cpu": "1", "memory": "6Gi"}),
        (CUSTOM, {"cpu": "100m", "memory": "256Mi"}),
        (WORKFLOW, {"cpu": "100m", "memory": "256Mi"}),
    ],
)
def test_what_nobody_says_an_engine_asks_for_itself(spec: dict[str, Any], requests: dict[str, str]) -> None:
    assert pod_of(spec).requests.items() >= requests.items()


@ON_THE_HUB
def test_weights_on_a_volume_take_none_of_the_nodes_disk(spec: dict[str, Any]) -> None:
    assert "ephemeral-storage" in pod_of(spec).requests
    assert "ephemeral-storage" not in pod_of(with_model(spec, **CACHED)).requests
    assert "ephemeral-storage" not in pod_of(with_model(spec, source="pvc://weights/qwen")).requests


def test_a_llama_cpp_without_download_asks_for_no_disk() -> None:
    assert "ephemeral-storage" not in pod_of(LLAMACPP).requests
    assert "ephemeral-storage" not in pod_of(with_model(LLAMACPP, **DOWNLOADED, **CACHED)).requests


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

    def test_one_node_is_started_as_ever(self) -> None:
        pod = pod_of(VLLM, resources={"gpu": {"count": 8}})
        assert pod.other_nodes is None
        assert option(pod, "--nnodes") is None

    def test_several_nodes_are_one_engine_with_a_pipeline_over_them(self) -> None:
        pod = pod_of(VLLM, resources={"nodes": 2, "gpu": {"count": 8}})
        options = ("--tensor-parallel-size", "--pipeline-parallel-size", "--nnodes", "--node-rank", "--master-addr")
        assert [option(pod, name) for name in options] == [
            *("8", "2", "2"),
            *("$(LWS_WORKER_INDEX)", "$(LWS_LEADER_ADDRESS)"),
        ]
        assert "--headless" not in pod.container["args"]

    def test_the_other_nodes_run_the_same_engine_and_serve_nobody(self) -> None:
        pod = pod_of(with_engine(VLLM, args=["--max-model-len", "4096"]), resources={"nodes": 2, "gpu": {"count": 8}})
        serving = {"ports", "startupProbe", "readinessProbe", "livenessProbe"}
        assert pod.other_nodes is not None
        assert pod.container.keys() - pod.other_nodes.keys() == serving
        same = {name: value for name, value in pod.container.items() if name not in serving}
        assert pod.other_nodes == {**same, "args": [*pod.container["args"], "--headless"]}

    def test_caches_and_shared_memory_are_the_pods_own(self) -> None:
        pod = pod_of(VLLM)
        assert {"name": "shm", "emptyDir": {"medium": "Memory"}} in pod.volumes
        mounts = {mount["mountPath"] for mount in pod.container["volumeMounts"]}
        env = {variable["name"]: variable["value"] for variable in pod.container["env"]}
        assert {"/dev/shm", env["HOME"]} <= mounts
        assert env["HF_HOME"].startswith(f"{env['HOME']}/")

    def test_its_image_runs_as_root_unless_told_a_user(self) -> None:
        assert pod_of(VLLM).container["securityContext"]["runAsUser"] > 0


@ON_THE_HUB
class TestOnTheHub:
    def test_the_engine_downloads_the_revision_by_itself(self, spec: dict[str, Any]) -> None:
        args = " ".join(pod_of(with_model(spec, source="hf://Qwen/Qwen3-0.6B@v2")).container["args"])

        assert "Qwen/Qwen3-0.6B@v2" in args or ("Qwen/Qwen3-0.6B " in args and "--revision v2" in args)
        assert "--revision" not in pod_of(spec).container["args"]

    def test_a_gated_models_token_is_one_key_of_the_secret(self, spec: dict[str, Any]) -> None:
        pod = pod_of(with_model(spec, credentials={"name": "hub"}))
        reference = {"name": "hub", "key": "HF_TOKEN", "optional": True}

        assert {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": reference}} in pod.container["env"]

    def test_the_cache_keeps_what_the_hub_gives(self, spec: dict[str, Any]) -> None:
        pod = pod_of(with_model(spec, cache={"claimName": "shared"}))
        env = {variable["name"]: variable.get("value") for variable in pod.container["env"]}

        assert env["HF_HOME"] == f"/model-cache/{spec['engine']['type'].lower()}/huggingface"
        assert {"name": "model-cache", "mountPath": "/model-cache"} in pod.container["volumeMounts"]
        assert {"name": "model-cache", "persistentVolumeClaim": {"claimName": "shared"}} in pod.volumes
        assert pod.security["fsGroup"] == 65532

    def test_no_secret_and_no_claim_unless_asked_for(self, spec: dict[str, Any]) -> None:
        pod = pod_of(spec)

        assert "HF_TOKEN" not in {variable["name"] for variable in pod.container["env"]}
        assert (pod.fetches, pod.security) == ((), {})


@WITH_ADAPTERS
class TestAdapters:
    ADAPTERS: ClassVar = [{"id": "sql", "source": "pvc://loras/sql"}, {"id": "a:b", "source": "s3://bucket/b"}]

    def test_each_is_a_folder_under_its_id(self, spec: dict[str, Any]) -> None:
        pod = pod_of(with_model(spec, adapters=self.ADAPTERS))
        folder = pod.fetches[0]["args"][-1]

        words = {word for arg in pod.container["args"] for word in arg.split(",")}
        assert {"sql=/adapters/0/sql", f"a:b={folder}"} <= words

    def test_those_of_the_hub_are_fetched_in_their_revision(self, spec: dict[str, Any]) -> None:
        pod = pod_of(with_model(spec, adapters=[{"id": "sql", "source": "hf://team/sql@v2"}]))

        assert [fetch["args"][:3] for fetch in pod.fetches] == [["model", "fetch", "hf://team/sql@v2"]]

    def test_without_any_the_engine_is_not_asked_to_be_able_to(self, spec: dict[str, Any]) -> None:
        assert not [arg for arg in pod_of(spec).container["args"] if "lora" in arg]


class TestSGLang:
    SEVERAL: ClassVar = {"nodes": 2, "gpu": {"count": 8}}

    def test_several_nodes_are_one_engine_over_all_of_their_gpus(self) -> None:
        pod = pod_of(SGLANG, resources=self.SEVERAL)
        options = ("--tensor-parallel-size", "--nnodes", "--node-rank", "--dist-init-addr")
        assert [option(pod, name) for name in options] == [
            *("16", "2"),
            *("$(LWS_WORKER_INDEX)", "$(LWS_LEADER_ADDRESS):20000"),
        ]

    def test_the_other_nodes_run_the_same_command_and_serve_nobody(self) -> None:
        pod = pod_of(with_engine(SGLANG, args=["--context-length", "4096"]), resources=self.SEVERAL)
        serving = {"ports", "startupProbe", "readinessProbe", "livenessProbe"}
        assert pod.other_nodes == {name: value for name, value in pod.container.items() if name not in serving}

    def test_one_node_is_started_as_ever(self) -> None:
        pod = pod_of(SGLANG, resources={"gpu": {"count": 8}})
        assert pod.other_nodes is None
        assert option(pod, "--nnodes") is None

    def test_a_colon_is_no_part_of_the_name_that_it_serves(self) -> None:
        assert option(pod_of(with_model(SGLANG, id="llama3.1:8b")), "--served-model-name") == "llama3.1-8b"

    @pytest.mark.parametrize(
        ("gpu", "size"), [({"count": 1}, None), ({"count": 4}, "4"), ({"count": 2, "profile": "mig-1g.10gb"}, None)]
    )
    def test_whole_gpus_share_the_model(self, gpu: dict[str, Any], size: str | None) -> None:
        assert option(pod_of(SGLANG, resources={"gpu": gpu}), "--tensor-parallel-size") == size


class TestTGI:
    @pytest.mark.parametrize(
        ("gpu", "shards"), [({"count": 1}, "1"), ({"count": 4}, "4"), ({"count": 2, "profile": "mig-1g.10gb"}, "1")]
    )
    def test_whole_gpus_share_the_model(self, gpu: dict[str, Any], shards: str) -> None:
        assert option(pod_of(TGI, resources={"gpu": gpu}), "--num-shard") == shards

    def test_the_images_entrypoint_starts_it(self) -> None:
        assert "command" not in pod_of(TGI).container

    def test_nobody_is_told_how_it_is_used(self) -> None:
        assert option(pod_of(TGI), "--usage-stats") == "off"


class TestTransformers:
    @pytest.mark.parametrize(
        ("source", "model"),
        [
            ("hf://Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B"),
            ("hf://Qwen/Qwen3-0.6B@v2", "Qwen/Qwen3-0.6B@v2"),
            ("pvc://weights/qwen", "/models/qwen"),
        ],
    )
    def test_the_model_is_loaded_before_it_listens(self, source: str, model: str) -> None:
        container = pod_of(with_model(TRANSFORMERS, source=source)).container
        assert [*container["command"], container["args"][0]] == ["transformers", "serve", model]


class TestCustom:
    def test_the_command_is_the_users(self) -> None:
        container = pod_of(with_engine(CUSTOM, command=["serve"], args=["--fast"])).container
        assert (container["command"], container["args"]) == (["serve"], ["--fast"])

    def test_without_command_and_arguments_the_images_own_run(self) -> None:
        container = pod_of(CUSTOM).container
        assert "command" not in container
        assert "args" not in container


class TestWorkflow:
    def test_splais_own_server_runs_the_callable_under_the_id_and_every_alias(self) -> None:
        container = pod_of(with_model(WORKFLOW, aliases=["desk", "gpt-4o-mini"])).container

        served = ["--model", "support_desk", "--alias", "desk", "--alias", "gpt-4o-mini"]
        assert container["command"] == ["splai", "workflow", "serve"]
        assert container["args"] == [
            "support_desk.workflow:answer",
            *served,
            *("--code", "/workflow"),
            *("--port", "8000"),
        ]

    @pytest.mark.parametrize(
        ("target", "folder"),
        [
            ("desk:answer", "/workflow"),
            ("support_desk.workflow:answer", "/workflow/support_desk"),
            ("a.b.c:answer", "/workflow/a/b"),
        ],
    )
    def test_the_config_maps_files_are_the_folder_of_the_callables_package(self, target: str, folder: str) -> None:
        container = pod_of(with_workflow(callable=target)).container

        assert {"name": "workflow", "mountPath": folder, "readOnly": True} in container["volumeMounts"]

    def test_a_config_map_that_is_missing_is_for_the_server_to_tell(self) -> None:
        assert {"name": "workflow", "configMap": {"name": "desk", "optional": True}} in pod_of(WORKFLOW).volumes

    def test_without_a_config_map_the_code_is_the_images(self) -> None:
        pod = pod_of(WORKFLOW | {"workflow": {"callable": "desk:answer", "image": "me/graphs:3"}})

        assert option(pod, "--code") is None
        assert [volume["name"] for volume in pod.volumes] == ["tmp"]

    def test_an_image_of_python_runs_as_root_unless_told_a_user(self) -> None:
        assert pod_of(WORKFLOW).container["securityContext"]["runAsUser"] > 0
