"""ModelBackend: a model, an engine that serves it, and how many of it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from splai.api.backend_autoscaling import Autoscaling, AutoscalingStatus
from splai.api.backend_ollama import OLLAMA_RULES
from splai.api.backend_remote import Remote
from splai.api.backend_resources import BackendResources
from splai.api.backend_routing import Access, Routing
from splai.api.backend_source import DOWNLOADED, FOLDER, ONE_FILE, SOURCE, SOURCE_FORMS, Adapter, ModelCache
from splai.api.backend_workflow import Workflow
from splai.api.base import APIModel, keyed_by, rules, written_whole
from splai.api.condition import Condition
from splai.api.pod_template import LocalObjectReference, PodTemplate
from splai.api.storage import S3Endpoint

ModelID = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._:/@-]*[A-Za-z0-9])?$")]


_HAS_DOWNLOAD = (
    f"(has(self.source) && self.source.matches('{DOWNLOADED}')) || "
    f"self.adapters.exists(adapter, adapter.source.matches('{DOWNLOADED}'))"
)
_HAS_BUCKET = (
    "(has(self.source) && self.source.startsWith('s3://')) || "
    "self.adapters.exists(adapter, adapter.source.startsWith('s3://'))"
)


class Model(APIModel):
    """What is served, and under which names."""

    model_config = {
        "json_schema_extra": rules(
            (f"!has(self.source) || self.source.matches('{SOURCE}')", SOURCE_FORMS),
            (
                "!has(self.sha256) || (has(self.source) && self.source.matches('^https?://'))",
                "sha256 belongs to a source of http or https",
            ),
            (f"!has(self.s3) || {_HAS_BUCKET}", "s3 belongs to a source or an adapter of s3://"),
            (
                f"!has(self.cache) || {_HAS_DOWNLOAD}",
                "cache belongs to a source or an adapter that is downloaded: hf, s3, http or https",
            ),
            (
                f"!has(self.credentials) || {_HAS_DOWNLOAD}",
                "credentials belongs to a source or an adapter that is downloaded: hf, s3, http or https",
            ),
            (
                "!self.adapters.exists(adapter, adapter.id == self.id || adapter.id in self.aliases)",
                "adapters must have other ids than the model and its aliases",
            ),
        )
    }

    id: Annotated[ModelID, Field(description="The id that clients ask for; not bound to the object's name.")]
    aliases: Annotated[
        list[ModelID],
        Field(
            max_length=32,
            description="Further ids that reach this model, e.g. gpt-4o-mini.",
            json_schema_extra={"x-kubernetes-list-type": "set"},
        ),
    ] = []
    source: Annotated[
        str | None,
        Field(
            max_length=1024,
            description=(
                "Where the weights are: hf://owner/name[@revision][/file], file:///path in the image, "
                "pvc://claim/path, s3://bucket/prefix, http(s)://host/file, oci://registry/repository:tag[#path] or "
                "ollama://name:tag. LlamaCpp and Ollama load one file, the others a folder; Custom takes pvc://claim "
                "and oci:// without a path, mounted at /models. Left out (LlamaCpp and Custom): the model that the "
                "image carries."
            ),
        ),
    ] = None
    sha256: Annotated[
        str | None,
        Field(pattern=r"^[0-9a-f]{64}$", description="Digest of a file that comes over http or https, in hex digits."),
    ] = None
    s3: Annotated[S3Endpoint | None, Field(description="Where s3:// is, if not at Amazon.")] = None
    cache: Annotated[
        ModelCache | None, Field(description="Keeps what is downloaded; left out: each pod downloads for itself.")
    ] = None
    credentials: Annotated[
        LocalObjectReference | None,
        Field(
            description=(
                "A Secret for downloads, read by the kubelet only. Its keys by source: HF_TOKEN (hf), "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (s3), AUTHORIZATION (http, that header's value)."
            )
        ),
    ] = None
    adapters: Annotated[
        list[Adapter],
        Field(
            max_length=32,
            description="LoRA adapters, each a model id of its own; with vLLM, SGLang and TGI.",
            json_schema_extra=keyed_by("id"),
        ),
    ] = []

    @property
    def ids(self) -> list[str]:
        """All ids that clients can ask for: the model's own, its aliases, its adapters."""
        return [self.id, *self.aliases, *(adapter.id for adapter in self.adapters)]


class Engine(APIModel):
    """The inference server that runs in the backend's pods."""

    model_config = {
        "json_schema_extra": rules(
            ("self.type != 'Custom' || has(self.image)", "engine type Custom needs an image"),
            (
                "self.type != 'Transformers' || has(self.image)",
                "engine type Transformers needs an image with transformers[serving]: none is published",
            ),
            (
                "self.type == 'Custom' || !has(self.command)",
                "command belongs to engine type Custom; use args",
            ),
            ("self.type == 'Custom' || !has(self.port)", "port belongs to engine type Custom"),
            ("self.type == 'Custom' || !has(self.healthPath)", "healthPath belongs to engine type Custom"),
            (
                "self.type != 'Remote' || (!has(self.image) && size(self.args) == 0)",
                "engine type Remote takes no image and no args: its pods run SPLAI's own adapter",
            ),
            (
                "self.type != 'Workflow' || (!has(self.image) && size(self.args) == 0)",
                "engine type Workflow takes neither engine.image nor engine.args: name the image in workflow.image",
            ),
        )
    }

    type: Annotated[
        Literal["LlamaCpp", "vLLM", "Ollama", "SGLang", "TGI", "Transformers", "Custom", "Remote", "Workflow"],
        Field(
            description=(
                "LlamaCpp and Ollama run on CPUs and GPUs; Custom is any image that speaks the OpenAI API; "
                "Remote calls a provider, which spec.remote names; Workflow is a Python program, see spec.workflow."
            )
        ),
    ] = "LlamaCpp"
    image: Annotated[str | None, Field(max_length=512, description="Default: the engine's own image.")] = None
    command: Annotated[list[str] | None, Field(max_length=64, description="Custom: instead of the image's own.")] = None
    args: Annotated[
        list[str], Field(max_length=128, description="Appended to the engine's arguments; the last one wins.")
    ] = []
    port: Annotated[int | None, Field(ge=1024, le=65535, description="Custom: the HTTP port; default 8000.")] = None
    health_path: Annotated[
        str | None,
        Field(
            max_length=253,
            pattern=r"^/",
            description="Custom: answers 200 once the model is loaded, as long as all is well; default /v1/models.",
        ),
    ] = None


IntOrPercent = Annotated[
    int | str,
    Field(json_schema_extra={"x-kubernetes-int-or-string": True, "minimum": 0, "pattern": r"^[0-9]{1,3}%$"}),
]


class Rollout(APIModel):
    """How a new revision replaces the old one, as in apps/v1 RollingUpdateDeployment."""

    model_config = {
        "json_schema_extra": rules(
            (
                "!((self.maxSurge == 0 || self.maxSurge == '0%') && "
                "(self.maxUnavailable == 0 || self.maxUnavailable == '0%'))",
                "maxSurge and maxUnavailable cannot both be 0: no pod could ever be replaced",
            )
        )
    }

    max_surge: Annotated[
        IntOrPercent,
        Field(description="Pods above replicas, which need GPUs of their own: 0 where none are spare."),
    ] = 1
    max_unavailable: Annotated[IntOrPercent, Field(description="Pods below replicas: 0 keeps all of them serving.")] = 0
    when_blocked: Annotated[
        Literal["Wait", "Replace"],
        Field(
            description=(
                "When the new pod finds no node for 15 s: Wait until there is room for it, the old pods serving on, "
                "or Replace: old pods leave first, one at a time."
            )
        ),
    ] = "Wait"


class ModelBackendSpec(APIModel):
    """What is served, by what, and how many of it."""

    model_config = {
        "json_schema_extra": rules(
            (
                "!(self.engine.type in ['vLLM', 'SGLang', 'TGI', 'Transformers']) || "
                f"(has(self.model.source) && self.model.source.matches('{FOLDER}'))",
                "engine types vLLM, SGLang, TGI and Transformers load a folder: model.source must be "
                "hf://owner/name[@revision], file:///path, pvc://claim/path, s3://bucket/prefix or "
                "oci://registry/repository:tag[#path]",
            ),
            (
                f"self.engine.type != 'LlamaCpp' || !has(self.model.source) || self.model.source.matches('{ONE_FILE}')",
                "engine type LlamaCpp loads one GGUF file: model.source must be hf://owner/name[@revision]/file, "
                "file:///path, pvc://claim/path, s3://bucket/key, http(s)://host/file or "
                "oci://registry/repository:tag#path",
            ),
            (
                "self.engine.type != 'Custom' || !has(self.model.source) || "
                "self.model.source.matches('^(pvc://[^/]+|oci://[^#]+)$')",
                "engine type Custom takes no model.source but pvc://claim and oci://registry/repository:tag: "
                "name the model in engine.args",
            ),
            (
                "size(self.model.adapters) == 0 || self.engine.type in ['vLLM', 'SGLang', 'TGI']",
                "model.adapters belongs to engine types vLLM, SGLang and TGI: the others serve no adapter under an id "
                "of its own",
            ),
            (
                "(self.engine.type == 'Remote') == has(self.remote)",
                "remote belongs to engine type Remote, which needs it",
            ),
            (
                "self.engine.type != 'Remote' || !has(self.model.source)",
                "engine type Remote takes no model.source: the provider has the weights",
            ),
            (
                "self.engine.type != 'Remote' || !has(self.resources.gpu)",
                "engine type Remote takes no resources.gpu: nothing is computed here",
            ),
            (
                "!has(self.autoscaling) || !has(oldSelf.autoscaling) || self.replicas == oldSelf.replicas",
                "replicas cannot be changed while autoscaling decides: change autoscaling.minReplicas or maxReplicas",
            ),
            (
                "(self.engine.type == 'Workflow') == has(self.workflow)",
                "workflow belongs to engine type Workflow, which needs it",
            ),
            (
                "self.engine.type != 'Workflow' || !has(self.model.source)",
                "engine type Workflow takes no model.source: its code comes from workflow",
            ),
            (
                "self.resources.nodes == 1 || self.engine.type in ['vLLM', 'SGLang']",
                "resources.nodes above 1 needs engine type vLLM or SGLang",
            ),
            *OLLAMA_RULES,
        )
    }

    model: Model
    engine: Engine = Engine()
    remote: Annotated[Remote | None, Field(description="The provider, with engine type Remote.")] = None
    workflow: Annotated[
        Workflow | None, Field(description="With engine type Workflow: the program that is served as a model.")
    ] = None
    resources: BackendResources = BackendResources()
    template: Annotated[
        PodTemplate | None,
        Field(description="Overlay on the pods: where they run, what else they get. The main container is the engine."),
    ] = None
    replicas: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="Pods that serve the model; also set by `scale`. With autoscaling: those that it starts from.",
        ),
    ] = 1
    autoscaling: Autoscaling | None = None
    rollout: Rollout = Rollout()
    routing: Routing = Routing()
    access: Access = Access()


class ModelBackendStatus(APIModel):
    """The observed state. Condition types: Ready, Reconciling, Stalled, Scheduled, ModelLoaded, RolloutBlocked.

    One that is ``routing.default`` has DefaultConflict too.
    """

    observed_generation: Annotated[int, Field(description="The metadata.generation this was decided on.")] = -1
    conditions: Annotated[
        list[Condition],
        Field(description="Each with a reason and what to know about it.", json_schema_extra=written_whole()),
    ] = []
    replicas: Annotated[int, Field(description="Pods that there are, of any revision.")] = 0
    ready_replicas: Annotated[int, Field(description="Pods whose engine answers.")] = 0
    selector: Annotated[str, Field(description="The pods' label selector, for the scale subresource.")] = ""
    endpoint: Annotated[
        str | None, Field(description="Base URL of the Service while a replica answers; the API is under /v1.")
    ] = None
    model_ids: Annotated[
        list[str],
        Field(alias="modelIDs", description="Ids that clients can ask for: model.id, its aliases, its adapters."),
    ] = []
    autoscaling: AutoscalingStatus | None = None
    message: Annotated[str, Field(description="Message of the condition Ready.")] = ""


class ModelBackend(APIModel):
    """A model served by an engine behind an OpenAI-compatible Service."""

    model_config = {
        "json_schema_extra": rules(
            ("size(self.metadata.name) <= 52", "the name must have at most 52 characters"),
            (
                "self.spec.resources.nodes == 1 || size(self.metadata.name) <= 42",
                "the name must have at most 42 characters where resources.nodes is more than 1",
            ),
            (
                "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                "the name must be a DNS-1035 label: it becomes the Service's name",
            ),
            (
                "!(self.metadata.name in self.spec.routing.fallbacks)",
                "routing.fallbacks must not name the backend itself",
            ),
        )
    }

    metadata: dict[str, Any]
    spec: ModelBackendSpec
    status: ModelBackendStatus = ModelBackendStatus()
