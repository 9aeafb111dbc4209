"""ModelBackend: a model, an engine that serves it, and how many of it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from splai.api.backend_ollama import OLLAMA_RULES
from splai.api.backend_routing import Access, Routing
from splai.api.base import APIModel, Quantity, rules, written_whole
from splai.api.condition import Condition
from splai.api.pod_template import PodTemplate

ModelID = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._:/@-]*[A-Za-z0-9])?$")]


class Model(APIModel):
    """What is served, and under which names."""

    model_config = {
        "json_schema_extra": rules(
            (
                "!has(self.source) || self.source.matches("
                "'^(hf://[^/]+/[^/]+|ollama://.+|file:///.+|pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/.+)?)$')",
                "source must read hf://owner/name, ollama://name, file:///path or pvc://claim/path",
            )
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
                "Where the weights are: hf://owner/name (vLLM only), ollama://name:tag (Ollama only), "
                "file:///path in the image (not with Custom), "
                "or pvc://claim/path, the claim mounted read-only at /models (with Custom pvc://claim, no path). "
                "Left out (not with vLLM and Ollama): the model that the image carries."
            ),
        ),
    ] = None

    @property
    def ids(self) -> list[str]:
        """All ids that reach the model, its own first."""
        return [self.id, *self.aliases]


class Engine(APIModel):
    """The inference server that runs in the backend's pods."""

    model_config = {
        "json_schema_extra": rules(
            ("self.type != 'Custom' || has(self.image)", "engine type Custom needs an image"),
            (
                "self.type == 'Custom' || !has(self.command)",
                "command belongs to engine type Custom; use args",
            ),
            ("self.type == 'Custom' || !has(self.port)", "port belongs to engine type Custom"),
            ("self.type == 'Custom' || !has(self.healthPath)", "healthPath belongs to engine type Custom"),
        )
    }

    type: Annotated[
        Literal["LlamaCpp", "vLLM", "Ollama", "Custom"],
        Field(description="LlamaCpp and Ollama run on CPUs and GPUs; Custom is any image that speaks the OpenAI API."),
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


class GPU(APIModel):
    """GPUs of one replica: nvidia.com/gpu, amd.com/gpu or gpu.intel.com/i915, all taken whole.

    Any other extended resource can be asked for in template.resources.
    """

    model_config = {
        "json_schema_extra": rules(
            (
                "!has(self.profile) || self.vendor == 'nvidia'",
                "profile names a MIG slice: vendor must be nvidia",
            )
        )
    }

    vendor: Annotated[
        Literal["nvidia", "amd", "intel"], Field(description="Vendor whose device plugin serves the GPUs.")
    ] = "nvidia"
    count: Annotated[int, Field(ge=1, le=64, description="GPUs, or MIG slices, of one replica.")] = 1
    profile: Annotated[
        str | None,
        Field(pattern=r"^mig-[a-z0-9.]+$", max_length=32, description="A MIG profile such as mig-1g.10gb."),
    ] = None


class BackendResources(APIModel):
    """What one replica needs."""

    gpu: GPU | None = None
    cpu: Annotated[Quantity | None, Field(description="CPU request.")] = None
    memory: Annotated[Quantity | None, Field(description="Memory request and limit.")] = None


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


class ModelBackendSpec(APIModel):
    """What is served, by what, and how many of it."""

    model_config = {
        "json_schema_extra": rules(
            (
                "self.engine.type != 'vLLM' || has(self.model.source)",
                "engine type vLLM needs model.source: its image carries no model",
            ),
            (
                "self.engine.type != 'LlamaCpp' || !has(self.model.source) || "
                "self.model.source.matches('^(file:///|pvc://[^/]+/).+')",
                "engine type LlamaCpp loads one GGUF file: model.source must be file:///path or pvc://claim/path",
            ),
            (
                "self.engine.type != 'Custom' || !has(self.model.source) || self.model.source.matches('^pvc://[^/]+$')",
                "engine type Custom takes no model.source but pvc://claim: name the model in engine.args",
            ),
            *OLLAMA_RULES,
        )
    }

    model: Model
    engine: Engine = Engine()
    resources: BackendResources = BackendResources()
    template: Annotated[
        PodTemplate | None,
        Field(description="Overlay on the pods: where they run, what else they get. The main container is the engine."),
    ] = None
    replicas: Annotated[int, Field(ge=0, le=1000, description="Pods that serve the model; also set by `scale`.")] = 1
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
        list[str], Field(alias="modelIDs", description="Ids that reach the model: model.id and its aliases.")
    ] = []
    message: Annotated[str, Field(description="Message of the condition Ready.")] = ""


class ModelBackend(APIModel):
    """A model served by an engine behind an OpenAI-compatible Service."""

    model_config = {
        "json_schema_extra": rules(
            ("size(self.metadata.name) <= 52", "the name must have at most 52 characters"),
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
