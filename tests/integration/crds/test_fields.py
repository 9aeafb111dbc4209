"""What a real apiserver refuses and with which words, and what it takes and fills in.

The operator never meets an object that is refused here, so each rule has a case that breaks it and one that keeps it.
"""

from typing import Any

import pytest

from tests.integration.crds.manifests import KEY, Cluster, backend, contains, job, manifest, name_of
from tests.integration.running_control_plane import KubectlError

LONG = "a" * 53
URL = "https://resource.openai.azure.com"


def source(engine: str, url: str | None, **more: Any) -> dict[str, Any]:
    return backend(model={"id": "m", **({"source": url} if url else {})}, engine={"type": engine, **more})


def model(engine: str = "LlamaCpp", **fields: Any) -> dict[str, Any]:
    return backend(model={"id": "m", **fields}, engine={"type": engine, "image": "i"})


def adapted(engine: str, *adapters: dict[str, str]) -> dict[str, Any]:
    url = {"LlamaCpp": "file:///m.gguf", "Custom": "pvc://c"}.get(engine, "hf://a/b")
    return model(engine, aliases=["n"], source=url, adapters=list(adapters or (A_LORA,)))


WORKFLOW: dict[str, Any] = {"callable": "desk.main:answer", "configMap": {"name": "desk"}}


def workflow(*, engine: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A workflow backend; a field that is None is left out."""
    described = {name: value for name, value in (WORKFLOW | fields).items() if value is not None}
    return backend(engine={"type": "Workflow", **(engine or {})}, workflow=described)


def worker_template(**template: Any) -> dict[str, Any]:
    return job(workers={"template": template})


def env_from(**value_from: Any) -> dict[str, Any]:
    return worker_template(env=[{"name": "A", "valueFrom": value_from}])


def volume(**kinds: Any) -> dict[str, Any]:
    return worker_template(volumes=[{"name": "v", **kinds}])


def read_from(**source: Any) -> dict[str, Any]:
    return job(input=source)


def written_to(**output: Any) -> dict[str, Any]:
    return job(output=output)


def on_volume(path: str) -> dict[str, Any]:
    return read_from(persistentVolumeClaim={"claimName": "c", "path": path})


def most_failed(records: Any) -> dict[str, Any]:
    return job(failurePolicy={"maxFailedRecords": records})


def routed(**routing: Any) -> dict[str, Any]:
    return backend(routing=routing)


def remote(provider: str, **fields: Any) -> dict[str, Any]:
    """A backend of engine Remote; a provider's own fields are given, and those that most need."""
    needed = {"apiKeySecretRef": KEY, **({"deployment": "d", "baseURL": URL} if provider == "AzureOpenAI" else {})}
    given = {name: value for name, value in (needed | fields).items() if value is not None}
    return backend(engine={"type": "Remote"}, remote={"provider": provider, **given})


def beside_remote(**spec: Any) -> dict[str, Any]:
    return backend(**{"engine": {"type": "Remote"}, "remote": {"provider": "OpenAI", "apiKeySecretRef": KEY}, **spec})


def elastic(**autoscaling: Any) -> dict[str, Any]:
    return backend(autoscaling={"maxReplicas": 4, **autoscaling})


def claim(**source: Any) -> dict[str, Any]:
    return worker_template(resourceClaims=[{"name": "gpu", **source}])


def on_nodes(nodes: int, *, name: str = "a", **resources: Any) -> dict[str, Any]:
    model = {"model": {"id": "m", "source": "hf://owner/name"}, "engine": {"type": "vLLM"}}
    return backend(name=name, **model, resources={"nodes": nodes, **resources})


# (the manifest, what the apiserver says about it)
WHERE_THE_IMAGE_IS = "engine type Workflow takes neither engine.image nor engine.args: name the image in workflow.image"
NO_SUCH_KEY = "the path must not have an empty segment, . or ..: no bucket has such a key"
SOURCES = "source must read hf://owner/name, ollama://name, file:///path or pvc://claim/path"
ONE_SOURCE = "set exactly one of text, items, configMap, persistentVolumeClaim, s3, http, huggingFace, failedOf"
SOURCE_FORMS = (
    "source must read hf://owner/name[@revision][/file], file:///path, pvc://claim/path, s3://bucket/prefix, "
    "http(s)://host/file, oci://registry/repository:tag[#path] or ollama://name:tag"
)
FOLDERS = (
    "engine types vLLM, SGLang, TGI and Transformers load a folder: model.source must be hf://owner/name[@revision], "
    "file:///path, pvc://claim/path, s3://bucket/prefix or oci://registry/repository:tag[#path]"
)
ONE_FILE = (
    "engine type LlamaCpp loads one GGUF file: model.source must be hf://owner/name[@revision]/file, file:///path, "
    "pvc://claim/path, s3://bucket/key, http(s)://host/file or oci://registry/repository:tag#path"
)
MOUNTED = (
    "engine type Custom takes no model.source but pvc://claim and oci://registry/repository:tag: name the model in "
    "engine.args"
)
ADAPTER = (
    "source of an adapter is a folder: hf://owner/name[@revision], file:///path, pvc://claim/path, "
    "s3://bucket/prefix or oci://registry/repository:tag[#path], with no = , or @ in the path"
)
DOWNLOADS = "belongs to a source or an adapter that is downloaded: hf, s3, http or https"
FOLDER_ENGINES = ("vLLM", "SGLang", "TGI", "Transformers")
NO_SOURCE = (
    *(("vLLM", url) for url in ("hf://only-a-name", "hf://a/b@", "hf://a/b@x/", "pvc://UPPER/case", "file://relative")),
    *(("LlamaCpp", url) for url in ("s3://bucket", "https://me:key@host/m.gguf", "ftp://host/m", "oci://r/m:1#/m")),
)
A_FOLDER = (
    "hf://Qwen/Qwen3-0.6B",
    "hf://a/b@v1.0",
    "pvc://w",
    "pvc://w/m",
    "file:///m",
    "s3://bucket/m",
    "oci://r/m:1#m",
)
NO_FOLDER = ("hf://a/b/m.gguf", "hf://a/b@v1/m.gguf", "https://host/m.gguf")
NO_PATH = ("pvc://c/a=b", "file:///a,b", "oci://r/m:1#a@b", "ollama://a")
NO_FILE = ("hf://a/b", "hf://a/b@v1", "pvc://claim", "s3://bucket/prefix/", "oci://r/m:1")
NOT_MOUNTED = ("hf://a/b", "pvc://claim/a-path-that-nobody-reads", "oci://r/m:1#path", "s3://bucket/m", "https://h/m")
NO_OWN_ID = (
    "model.adapters belongs to engine types vLLM, SGLang and TGI: the others serve no adapter under an id of its own"
)
NO_ADAPTERS = ("LlamaCpp", "Transformers", "Custom")
A_LORA = {"id": "lora", "source": "hf://team/lora@v1"}
REFUSED: list[tuple[dict[str, Any], str]] = [
    (job(name=LONG), "the name must have at most 52 characters"),
    (job(name="1st"), "the name must be a DNS-1035 label: it becomes part of the child Jobs' names"),
    (job(name="a.b"), "the name must be a DNS-1035 label: it becomes part of the child Jobs' names"),
    (backend(name=LONG), "the name must have at most 52 characters"),
    (backend(name="llama3.1"), "the name must be a DNS-1035 label: it becomes the Service's name"),
    (manifest("InferenceJob", None), "spec: Required value"),
    (manifest("ModelBackend", None), "spec: Required value"),
    (manifest("InferenceJob", {"model": "m"}), "spec.input: Required value"),
    (job(workrs={}), 'unknown field "spec.workrs"'),
    (job(workers={"template": {"nodeSelectr": {}}}), 'unknown field "spec.workers.template.nodeSelectr"'),
    (job(backendRef={"name": "b"}), "set at most one of model and backendRef"),
    (job(input={}), ONE_SOURCE),
    (job(input={"text": "t", "items": ["u"]}), ONE_SOURCE),
    (job(input={"text": "t", "configMap": KEY}), ONE_SOURCE),
    (job(type="embedding", prompt={"system": "s"}), "prompt.system belongs to the types chat and response"),
    (job(type="translate"), 'Unsupported value: "translate"'),
    (job(parameters=5), "spec.parameters in body must be of type object"),
    (job(workers={"parallelism": 0}), "should be greater than or equal to 1"),
    (job(workers={"parallelism": 1001}), "should be less than or equal to 1000"),
    (job(retry={"initialBackoff": "soon"}), "spec.retry.initialBackoff in body should match"),
    (env_from(), "set one of secretKeyRef and configMapKeyRef"),
    (env_from(secretKeyRef=KEY, configMapKeyRef=KEY), "set one of secretKeyRef and configMapKeyRef"),
    (volume(), "set exactly one of configMap, secret, emptyDir, persistentVolumeClaim"),
    (
        volume(emptyDir={}, secret={"secretName": "s"}),
        "set exactly one of configMap, secret, emptyDir, persistentVolumeClaim",
    ),
    (read_from(text="t", s3={"uri": "s3://bucket/key"}), ONE_SOURCE),
    (read_from(failedOf={"name": "a"}, huggingFace={"dataset": "d"}), ONE_SOURCE),
    (read_from(text="t", limit=0), "spec.input.limit in body should be greater than or equal to 1"),
    (read_from(text="t", format="xml"), 'spec.input.format: Unsupported value: "xml"'),
    (on_volume("/questions.jsonl"), "spec.input.persistentVolumeClaim.path in body should match"),
    (on_volume(""), "spec.input.persistentVolumeClaim.path in body should be at least 1 chars long"),
    (on_volume(".."), "must not leave the volume"),
    (on_volume("../other"), "must not leave the volume"),
    (on_volume("a/../../other"), "must not leave the volume"),
    (on_volume("a/.."), "must not leave the volume"),
    (written_to(persistentVolumeClaim={"claimName": "c", "path": "a/../.."}), "must not leave the volume"),
    (read_from(s3={"uri": "s3://bucket"}), "spec.input.s3.uri in body should match"),
    (read_from(s3={"uri": "https://bucket/key"}), "spec.input.s3.uri in body should match"),
    (
        read_from(s3={"uri": "s3://bucket/key", "endpoint": "http://me:secret@minio:9000"}),
        "spec.input.s3.endpoint in body should match",
    ),
    (
        read_from(s3={"uri": "s3://bucket/key", "endpoint": "http://minio:9000/path"}),
        "spec.input.s3.endpoint in body should match",
    ),
    (read_from(s3={"uri": "s3://b/k", "secretRef": {}}), "spec.input.s3.secretRef.name: Required value"),
    (read_from(http={"url": "ftp://host/file"}), "spec.input.http.url in body should match"),
    (read_from(http={"url": "https://me:secret@host/file"}), "spec.input.http.url in body should match"),
    (read_from(http={"url": "https://host/file", "sha256": "abc"}), "spec.input.http.sha256 in body should match"),
    (read_from(huggingFace={"dataset": "a/b/c"}), "spec.input.huggingFace.dataset in body should match"),
    (
        read_from(huggingFace={"dataset": "d", "split": "train[:5]"}),
        "spec.input.huggingFace.split in body should match",
    ),
    (read_from(failedOf={"name": "Not a name"}), "spec.input.failedOf.name in body should match"),
    (
        written_to(s3={"uri": "s3://bucket/a"}, gcs={"uri": "gs://bucket/a"}),
        "set at most one of s3, gcs, azure, persistentVolumeClaim",
    ),
    (written_to(s3={"uri": "gs://bucket/a"}), "spec.output.s3.uri in body should match"),
    (written_to(gcs={"uri": "s3://bucket/a"}), "spec.output.gcs.uri in body should match"),
    (written_to(azure={"uri": "az://account"}), "spec.output.azure.uri in body should match"),
    (written_to(s3={"uri": "s3://bucket/a//b"}), NO_SUCH_KEY),
    (written_to(s3={"uri": "s3://bucket//a"}), NO_SUCH_KEY),
    (written_to(s3={"uri": "s3://bucket/."}), NO_SUCH_KEY),
    (written_to(gcs={"uri": "gs://bucket/a/../b"}), NO_SUCH_KEY),
    (written_to(azure={"uri": "az://account/container/./a"}), NO_SUCH_KEY),
    (written_to(format="csv"), 'spec.output.format: Unsupported value: "csv"'),
    (written_to(order="random"), 'spec.output.order: Unsupported value: "random"'),
    (
        job(workers={"parallelism": 2, "minParallelism": 3}),
        "workers.minParallelism must not be more than workers.parallelism",
    ),
    (job(workers={"minParallelism": 0}), "spec.workers.minParallelism in body should be greater than or equal to 1"),
    (job(workers={"dispatchOrder": "Random"}), 'spec.workers.dispatchOrder: Unsupported value: "Random"'),
    (job(policy="Enterprise Default"), "spec.policy in body should match"),
    (job(priority=5), "spec.priority in body must be of type string"),
    (job(priority="High!"), "spec.priority in body should match"),
    (job(failurePolicy={}), "spec.failurePolicy.maxFailedRecords: Required value"),
    (most_failed(-1), "spec.failurePolicy.maxFailedRecords in body should be greater than or equal to 0"),
    (most_failed("5"), "spec.failurePolicy.maxFailedRecords in body should match"),
    (most_failed("101%"), "spec.failurePolicy.maxFailedRecords in body should match"),
    (most_failed("-5%"), "spec.failurePolicy.maxFailedRecords in body should match"),
    (most_failed("0.5%"), "spec.failurePolicy.maxFailedRecords in body should match"),
    (most_failed(0.5), "spec.failurePolicy.maxFailedRecords in body must be of type integer,string"),
    (job(completionWindow="tomorrow"), "spec.completionWindow in body should match"),
    (job(completionWindow="1d"), "spec.completionWindow in body should match"),
    (job(activeDeadlineSeconds=0), "spec.activeDeadlineSeconds in body should be greater than or equal to 1"),
    (job(ttlSecondsAfterFinished=59), "spec.ttlSecondsAfterFinished in body should be greater than or equal to 60"),
    (claim(), "set one of resourceClaimName and resourceClaimTemplateName"),
    (
        claim(resourceClaimName="a", resourceClaimTemplateName="b"),
        "set one of resourceClaimName and resourceClaimTemplateName",
    ),
    (volume(hostPath={"path": "/"}), 'unknown field "spec.workers.template.volumes[0].hostPath"'),
    (worker_template(env=[{"name": "A"}, {"name": "A"}]), 'Duplicate value: {"name":"A"}'),
    *((source(engine, url, image="i"), SOURCE_FORMS) for engine, url in NO_SOURCE),
    *((source(engine, url, image="i"), FOLDERS) for engine in FOLDER_ENGINES for url in NO_FOLDER),
    *((source(engine, None, image="i"), FOLDERS) for engine in FOLDER_ENGINES),
    *((source("LlamaCpp", url), ONE_FILE) for url in NO_FILE),
    *((source("Custom", url, image="i"), MOUNTED) for url in NOT_MOUNTED),
    (
        source("Transformers", "hf://a/b"),
        "engine type Transformers needs an image with transformers[serving]: none is published",
    ),
    (model(sha256="0" * 64), "sha256 belongs to a source of http or https"),
    (model(source="s3://bucket/m.gguf", sha256="0" * 64), "sha256 belongs to a source of http or https"),
    (model(source="https://h/m.gguf", sha256="0" * 63), "spec.model.sha256 in body should match"),
    (model(s3={}), "s3 belongs to a source or an adapter of s3://"),
    (model(source="https://h/m.gguf", s3={}), "s3 belongs to a source or an adapter of s3://"),
    (
        model(source="s3://bucket/m", s3={"endpoint": "http://me:key@minio"}),
        "spec.model.s3.endpoint in body should match",
    ),
    (model(cache={"claimName": "c"}), f"cache {DOWNLOADS}"),
    (model(source="pvc://c/m.gguf", cache={"claimName": "c"}), f"cache {DOWNLOADS}"),
    (model(credentials={"name": "s"}), f"credentials {DOWNLOADS}"),
    (model(source="oci://r/m:1#m.gguf", credentials={"name": "s"}), f"credentials {DOWNLOADS}"),
    *((adapted(engine), NO_OWN_ID) for engine in NO_ADAPTERS),
    *((adapted("vLLM", {"id": "a", "source": url}), ADAPTER) for url in (*NO_FOLDER, *NO_PATH)),
    (adapted("vLLM", {"id": "m", "source": "hf://a/b"}), "adapters must have other ids than the model and its aliases"),
    (adapted("vLLM", {"id": "n", "source": "hf://a/b"}), "adapters must have other ids than the model and its aliases"),
    (adapted("TGI", {"id": "a@b", "source": "hf://a/b"}), "spec.model.adapters[0].id in body should match"),
    (adapted("TGI", A_LORA, A_LORA), 'Duplicate value: {"id":"lora"}'),
    (source("Custom", None), "engine type Custom needs an image"),
    (source("Workflow", None), "workflow belongs to engine type Workflow, which needs it"),
    (backend(workflow=WORKFLOW), "workflow belongs to engine type Workflow, which needs it"),
    (
        {**workflow(), "spec": workflow()["spec"] | {"model": {"id": "m", "source": "pvc://claim/code"}}},
        "engine type Workflow takes no model.source: its code comes from workflow",
    ),
    (workflow(engine={"image": "i"}), WHERE_THE_IMAGE_IS),
    (workflow(engine={"args": ["--port", "1"]}), WHERE_THE_IMAGE_IS),
    (workflow(configMap=None), "set configMap, image or both: the callable's code comes from there"),
    (workflow(callable="desk"), "spec.workflow.callable in body should match"),
    (workflow(callable="desk.py:answer()"), "spec.workflow.callable in body should match"),
    (backend(engine={"command": ["x"]}), "command belongs to engine type Custom; use args"),
    (backend(engine={"port": 9000}), "port belongs to engine type Custom"),
    (backend(engine={"healthPath": "/"}), "healthPath belongs to engine type Custom"),
    *(
        (
            beside_remote(engine={"type": "Remote", **engine}),
            "engine type Remote takes no image and no args: its pods run SPLAI's own adapter",
        )
        for engine in ({"image": "i"}, {"args": ["--base-url=http://169.254.169.254"]})
    ),
    (backend(engine={"type": "Remote"}), "remote belongs to engine type Remote, which needs it"),
    (beside_remote(engine={}), "remote belongs to engine type Remote, which needs it"),
    (
        beside_remote(model={"id": "m", "source": "hf://owner/name"}),
        "engine type Remote takes no model.source: the provider has the weights",
    ),
    (beside_remote(resources={"gpu": {}}), "engine type Remote takes no resources.gpu: nothing is computed here"),
    *(
        (
            remote(provider, baseURL=None),
            "providers AzureOpenAI and OpenAICompatible need baseURL: they have no address of their own",
        )
        for provider in ("AzureOpenAI", "OpenAICompatible")
    ),
    *(
        (
            remote(provider, apiKeySecretRef=None),
            "apiKeySecretRef may be left out with provider OpenAICompatible alone",
        )
        for provider in ("OpenAI", "Anthropic", "Gemini", "AzureOpenAI")
    ),
    (remote("AzureOpenAI", deployment=None), "deployment belongs to provider AzureOpenAI, which needs it"),
    (remote("OpenAI", deployment="d"), "deployment belongs to provider AzureOpenAI, which needs it"),
    (remote("OpenAI", apiVersion="2024-10-21"), "apiVersion belongs to provider AzureOpenAI"),
    (
        remote("AzureOpenAI", model="gpt-4o"),
        "model does not go with provider AzureOpenAI: the deployment names the model",
    ),
    (remote("AzureOpenAI", apiVersion="latest"), "spec.remote.apiVersion in body should match"),
    (remote("AzureOpenAI", deployment="../a"), "spec.remote.deployment in body should match"),
    (remote("OpenAI", model="a b"), "spec.remote.model in body should match"),
    (remote("OpenAI", apiKeySecretRef={"name": "n"}), "spec.remote.apiKeySecretRef.key"),
    (remote("OpenAI", baseURL="https://user:password@host"), "spec.remote.baseURL in body should match"),
    (remote("OpenAI", baseURL="https://host/v1?key=a"), "spec.remote.baseURL in body should match"),
    (remote("OpenAI", baseURL="ftp://host"), "spec.remote.baseURL in body should match"),
    (remote("Mistral"), 'spec.remote.provider: Unsupported value: "Mistral"'),
    (
        backend(resources={"gpu": {"vendor": "amd", "profile": "mig-1g.10gb"}}),
        "profile names a MIG slice: vendor must be nvidia",
    ),
    (
        backend(resources={"gpu": {"driver": "xe"}}),
        "driver tells Intel's GPUs apart: vendor must be intel",
    ),
    (backend(resources={"gpu": {"vendor": "intel", "driver": "nouveau"}}), 'Unsupported value: "nouveau"'),
    (backend(resources={"gpu": {"product": "NVIDIA H100"}}), "spec.resources.gpu.product in body should match"),
    (backend(resources={"nodes": 0}), "spec.resources.nodes in body should be greater than or equal to 1"),
    (backend(resources={"nodes": 2}), "resources.nodes above 1 needs engine type vLLM or SGLang"),
    (
        on_nodes(2, gpu={"profile": "mig-1g.10gb"}),
        "a replica of several nodes needs whole GPUs: leave out gpu.profile",
    ),
    (
        on_nodes(2, name="a" * 43),
        "the name must have at most 42 characters where resources.nodes is more than 1",
    ),
    (backend(resources={"memory": "lots"}), "spec.resources.memory in body should match"),
    (backend(resources={"memory": "4Gim"}), "spec.resources.memory in body should match"),
    (backend(resources={"cpu": "-1"}), "spec.resources.cpu in body should match"),
    (backend(resources={"cpu": -1}), "should be greater than or equal to 0"),
    (
        backend(rollout={"maxSurge": 0}),
        "maxSurge and maxUnavailable cannot both be 0: no pod could ever be replaced",
    ),
    (
        backend(rollout={"maxSurge": "0%", "maxUnavailable": "0%"}),
        "maxSurge and maxUnavailable cannot both be 0: no pod could ever be replaced",
    ),
    (backend(rollout={"maxSurge": -1}), "should be greater than or equal to 0"),
    (backend(rollout={"whenBlocked": "Never"}), 'supported values: "Wait", "Replace"'),
    (backend(model={"id": "m", "aliases": ["n", "n"]}), 'Duplicate value: "n"'),
    (routed(capabilities=["Code!"]), "spec.routing.capabilities[0] in body should match"),
    (routed(capabilities=["chat", "chat"]), 'Duplicate value: "chat"'),
    (routed(capabilities=[f"c{number}" for number in range(17)]), "must have at most 16 items"),
    (routed(weight=1001), "spec.routing.weight in body should be less than or equal to 1000"),
    (routed(priority=-1), "spec.routing.priority in body should be greater than or equal to 0"),
    (routed(fallbacks=["b", "a"]), "routing.fallbacks must not name the backend itself"),
    (routed(fallbacks=[f"b{number}" for number in range(9)]), "must have at most 8 items"),
    (routed(strategy="RoundRobin"), 'spec.routing.strategy: Unsupported value: "RoundRobin"'),
    (routed(timeout="soon"), "spec.routing.timeout in body should match"),
    (routed(timeout="999ms"), "timeout must be at least 1s and at most 24h"),
    (routed(timeout="24h1s"), "timeout must be at least 1s and at most 24h"),
    (routed(retries=6), "spec.routing.retries in body should be less than or equal to 5"),
    (routed(cache={}), "spec.routing.cache.ttl: Required value"),
    (routed(cache={"ttl": "0s"}), "ttl must be more than 0s and at most 720h"),
    (routed(maxInFlight=0), "spec.routing.maxInFlight in body should be greater than or equal to 1"),
    (routed(maxQueued=-1), "spec.routing.maxQueued in body should be greater than or equal to 0"),
    (routed(maxQueueTime="61m"), "maxQueueTime must be at most 1h"),
    (routed(default="yes"), "spec.routing.default in body must be of type boolean"),
    (backend(autoscaling={}), "spec.autoscaling.maxReplicas: Required value"),
    (elastic(maxReplicas=0), "spec.autoscaling.maxReplicas in body should be greater than or equal to 1"),
    (elastic(minReplicas=5), "autoscaling.minReplicas must not be more than maxReplicas"),
    (elastic(targetInFlight=0), "spec.autoscaling.targetInFlight in body should be greater than or equal to 1"),
    (elastic(scaleDownDelay="soon"), "spec.autoscaling.scaleDownDelay in body should match"),
    (elastic(scaleDownDelay="24h1s"), "autoscaling.scaleDownDelay must be at most 24h"),
    (elastic(maxHold="999ms"), "autoscaling.maxHold must be at least 1s and at most 1h"),
    (elastic(maxHold="61m"), "autoscaling.maxHold must be at least 1s and at most 1h"),
    (backend(access={"from": "Everybody"}), 'spec.access.from: Unsupported value: "Everybody"'),
    (
        backend(access={"from": "Selected"}),
        "namespaces belongs to from: Selected, which needs at least one",
    ),
    (
        backend(access={"from": "All", "namespaces": ["team-a"]}),
        "namespaces belongs to from: Selected, which needs at least one",
    ),
    (backend(access={"namespaces": ["team-a"]}), "namespaces belongs to from: Selected, which needs at least one"),
    (
        backend(access={"from": "Selected", "namespaces": ["Team A"]}),
        "spec.access.namespaces[0] in body should match",
    ),
]

TAKEN: list[dict[str, Any]] = [
    elastic(),
    elastic(minReplicas=4, scaleDownDelay="0s", maxHold="1h"),
    job(name="a" * 52),
    job(name="a-1"),
    backend(name="a" * 52),
    manifest("InferenceJob", {"backendRef": {"name": "b"}, "input": {"text": "t"}}),
    job(input={"items": ["a string", {"an": "object", "with": [{"more": 1}]}]}),
    job(input={"configMap": KEY}),
    job(prompt={"system": "s", "template": "{{ text }}"}),
    job(type="llm_inference", prompt={"system": "s"}),
    job(type="embedding", prompt={"template": "{{ text }}"}),
    job(parameters={"max_tokens": 64, "stop": ["\n"], "response_format": {"type": "json_object"}}),
    job(retry={"initialBackoff": "500ms", "maxBackoff": "1m30s"}),
    manifest("InferenceJob", {"policy": "enterprise-default", "input": {"text": "t"}}),
    manifest("InferenceJob", {"policy": "p", "backendRef": {"name": "b"}, "input": {"text": "t"}}),
    read_from(text="t", limit=1, format="text"),
    on_volume("questions.jsonl"),
    on_volume("today/..hidden/a..b.csv.gz"),
    read_from(s3={"uri": "s3://bucket/questions.jsonl"}),
    read_from(
        s3={
            "uri": "s3://bucket/folder/",
            "endpoint": "http://minio.minio.svc:9000",
            "region": "eu-west-1",
            "secretRef": {"name": "keys"},
        },
        format="parquet",
    ),
    read_from(http={"url": "https://example.org/a?b=c", "sha256": "0" * 64, "secretRef": {"name": "token"}}),
    read_from(huggingFace={"dataset": "squad", "config": "plain_text", "split": "validation", "revision": "v1.0"}),
    read_from(huggingFace={"dataset": "team/data", "endpoint": "https://hub.example.org", "secretRef": {"name": "hf"}}),
    read_from(failedOf={"name": "yesterday"}),
    written_to(s3={"uri": "s3://bucket"}, format="parquet", order="completion"),
    written_to(s3={"uri": "s3://bucket/a/b", "endpoint": "https://s3.example.org", "secretRef": {"name": "keys"}}),
    written_to(s3={"uri": "s3://bucket/2026#q1/why?/.hidden/a..b//"}),
    written_to(gcs={"uri": "gs://bucket/a", "secretRef": {"name": "keys"}}),
    written_to(azure={"uri": "az://account/container/a", "secretRef": {"name": "keys"}}),
    written_to(persistentVolumeClaim={"claimName": "c", "path": "answers"}),
    job(type="response", prompt={"system": "s"}),
    job(workers={"parallelism": 3, "minParallelism": 3}),
    job(workers={"minParallelism": 3}),
    job(workers={"dispatchOrder": "Prefix"}),
    job(priority="batch"),
    job(priority="system.of-our-own"),
    most_failed(0),
    most_failed(12345),
    most_failed("0%"),
    most_failed("100%"),
    job(suspend=True),
    job(completionWindow="1h30m", activeDeadlineSeconds=1, ttlSecondsAfterFinished=60),
    claim(resourceClaimName="a"),
    claim(resourceClaimTemplateName="b"),
    worker_template(
        runtimeClassName="nvidia", resources={"limits": {"amd.com/gpu": 1}, "claims": [{"name": "gpu", "request": "r"}]}
    ),
    env_from(secretKeyRef=KEY),
    env_from(configMapKeyRef=KEY),
    volume(configMap={"name": "c"}),
    volume(secret={"secretName": "s"}),
    volume(emptyDir={"medium": "Memory", "sizeLimit": "1Gi"}),
    volume(persistentVolumeClaim={"claimName": "c"}),
    source("LlamaCpp", None),
    source("LlamaCpp", "file:///models/a.gguf"),
    source("LlamaCpp", "pvc://weights/a.gguf"),
    source("LlamaCpp", "hf://a/b@v1/q4/m.gguf"),
    source("LlamaCpp", "https://host/m.gguf?download=true"),
    source("LlamaCpp", "s3://bucket/m.gguf"),
    source("LlamaCpp", "oci://registry.example:5000/team/m:1#m.gguf"),
    *(source(engine, url, image="i") for engine in FOLDER_ENGINES for url in A_FOLDER),
    adapted("vLLM", A_LORA, {"id": "a:b/c", "source": "pvc://c/lora"}),
    adapted("SGLang", {"id": "a", "source": "oci://r/m@sha256:0#a/b"}),
    adapted("SGLang", {"id": "a", "source": "s3://bucket/lora"}),
    adapted("TGI", {"id": "a", "source": "oci://r/m:1"}, {"id": "b", "source": "file:///lora"}),
    model(source="https://h/m.gguf", sha256="0" * 64, cache={"claimName": "c"}, credentials={"name": "s"}),
    model(
        source="s3://bucket/m.gguf", s3={"endpoint": "http://minio:9000", "region": "eu-1"}, credentials={"name": "s"}
    ),
    model("vLLM", source="pvc://c", adapters=[A_LORA], cache={"claimName": "c"}, credentials={"name": "s"}),
    model("vLLM", source="pvc://c", adapters=[{"id": "a", "source": "s3://bucket/m"}], s3={"region": "eu-1"}),
    source("Custom", None, image="i", command=["serve"], port=9000, healthPath="/ready"),
    source("Custom", "pvc://weights", image="i"),
    remote("OpenAI", model="gpt-4o-mini"),
    remote("OpenAICompatible", baseURL="http://ollama:11434", apiKeySecretRef=None),
    remote("Anthropic", baseURL="https://proxy.example.org/anthropic/v1"),
    remote("Gemini", model="tunedModels/a"),
    remote("AzureOpenAI", apiVersion="2025-04-01-preview"),
    beside_remote(
        resources={"cpu": "100m", "memory": "1Gi"}, template={"env": [{"name": "HTTPS_PROXY", "value": "p"}]}
    ),
    source("Custom", "oci://registry.example/m@sha256:0", image="i"),
    workflow(),
    workflow(image="i"),
    workflow(configMap=None, image="i"),
    backend(resources={"gpu": {"profile": "mig-1g.10gb"}, "cpu": 2, "memory": "4Gi"}),
    backend(resources={"cpu": "250m", "memory": "1.5Gi"}),
    backend(resources={"cpu": ".5", "memory": "2e9"}),
    backend(rollout={"maxSurge": 0, "maxUnavailable": 1}),
    backend(rollout={"maxSurge": "25%", "maxUnavailable": 0, "whenBlocked": "Replace"}),
    routed(
        capabilities=["chat", "high_volume"],
        default=True,
        priority=100,
        weight=0,
        strategy="PrefixHash",
        fallbacks=["b", "c"],
        timeout="1m30s",
        retries=0,
        cache={"ttl": "1h"},
        maxInFlight=1,
        maxQueued=0,
        maxQueueTime="0s",
    ),
    backend(access={"from": "All"}),
    backend(access={"from": "Selected", "namespaces": ["team-a", "team-b"]}),
    manifest("InferenceJob", {"input": {"text": "t"}}),
]


@pytest.mark.parametrize(("body", "words"), REFUSED, ids=name_of)
def test_what_cannot_work_is_refused_with_words_that_help(cluster: Cluster, body: dict[str, Any], words: str) -> None:
    with pytest.raises(KubectlError) as refused:
        cluster.try_out(body)
    assert words in str(refused.value)


@pytest.mark.parametrize("body", TAKEN, ids=name_of)
def test_what_works_is_taken(cluster: Cluster, body: dict[str, Any]) -> None:
    taken = cluster.try_out(body)["spec"]
    for field, value in body["spec"].items():
        assert contains(taken[field], value)


def test_a_job_is_filled_in_with_what_it_left_out(cluster: Cluster) -> None:
    made = cluster.try_out(job())
    assert made["spec"] == {
        "type": "chat",
        "model": "m",
        "input": {"text": "hello", "format": "auto"},
        "parameters": {},
        "output": {"format": "openai-batch", "order": "input"},
        "workers": {"mode": "Shared", "dispatchOrder": "Input"},
        "requestTimeoutSeconds": 600,
        "backoffLimit": 6,
        "suspend": False,
        "cancel": False,
    }


POLICYS = (
    *("priority", "retry", "failurePolicy"),
    *("completionWindow", "activeDeadlineSeconds", "ttlSecondsAfterFinished"),
)


@pytest.mark.parametrize("field", POLICYS)
def test_what_a_policy_may_give_is_left_open(cluster: Cluster, field: str) -> None:
    assert field not in cluster.try_out(job())["spec"]


@pytest.mark.parametrize("field", ["parallelism", "concurrency"])
def test_so_it_is_inside_workers_that_were_given(cluster: Cluster, field: str) -> None:
    assert field not in cluster.try_out(job(workers={"mode": "Dedicated"}))["spec"]["workers"]


def test_retries_that_are_given_are_filled_in_as_a_whole(cluster: Cluster) -> None:
    made = cluster.try_out(job(retry={"maxAttempts": 9}))
    assert made["spec"]["retry"] == {"maxAttempts": 9, "initialBackoff": "1s", "maxBackoff": "60s"}


def test_a_backend_is_filled_in_with_what_it_left_out(cluster: Cluster) -> None:
    made = cluster.try_out(backend())
    assert made["spec"] == {
        "model": {"id": "m", "aliases": [], "adapters": []},
        "engine": {"type": "LlamaCpp", "args": []},
        "resources": {"nodes": 1},
        "replicas": 1,
        "rollout": {"maxSurge": 1, "maxUnavailable": 0, "whenBlocked": "Wait"},
        "routing": {
            "capabilities": [],
            "default": False,
            "priority": 0,
            "weight": 100,
            "strategy": "LeastLoad",
            "fallbacks": [],
            "timeout": "600s",
            "retries": 2,
            "maxQueued": 100,
            "maxQueueTime": "60s",
        },
        "access": {"from": "Same", "namespaces": []},
    }


def test_autoscaling_is_filled_in_with_what_it_left_out(cluster: Cluster) -> None:
    made = cluster.try_out(elastic())
    assert made["spec"]["autoscaling"] == {
        "minReplicas": 0,
        "maxReplicas": 4,
        "targetInFlight": 32,
        "scaleDownDelay": "300s",
    }


@pytest.mark.parametrize("body", [job(), backend()], ids=["InferenceJob", "ModelBackend"])
def test_a_status_that_nobody_wrote_yet_says_so(cluster: Cluster, body: dict[str, Any]) -> None:
    assert cluster.try_out(body)["status"] == {"observedGeneration": -1}


def test_a_user_cannot_write_the_status_by_the_way(cluster: Cluster) -> None:
    made = cluster.try_out(job() | {"status": {"phase": "Completed"}})
    assert "phase" not in made["status"]
