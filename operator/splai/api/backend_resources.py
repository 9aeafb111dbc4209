"""What one replica of a ModelBackend needs: GPUs of a vendor and a kind, CPUs, memory, and more than one node."""

from typing import Annotated, Literal

from pydantic import Field

from splai.api.base import APIModel, Quantity, rules


class GPU(APIModel):
    """GPUs of one replica, or of each of its nodes: nvidia.com/gpu, amd.com/gpu, gpu.intel.com/i915 or /xe, all whole.

    Any other extended resource can be asked for in template.resources, devices by Dynamic Resource Allocation in
    template.resourceClaims. The pods tolerate the taints that GPU nodes have as a rule.
    """

    model_config = {
        "json_schema_extra": rules(
            (
                "!has(self.profile) || self.vendor == 'nvidia'",
                "profile names a MIG slice: vendor must be nvidia",
            ),
            ("!has(self.driver) || self.vendor == 'intel'", "driver tells Intel's GPUs apart: vendor must be intel"),
        )
    }

    vendor: Annotated[
        Literal["nvidia", "amd", "intel"], Field(description="Vendor whose device plugin serves the GPUs.")
    ] = "nvidia"
    count: Annotated[int, Field(ge=1, le=64, description="GPUs, or MIG slices, of one replica or node.")] = 1
    profile: Annotated[
        str | None,
        Field(pattern=r"^mig-[a-z0-9.]+$", max_length=32, description="A MIG profile such as mig-1g.10gb."),
    ] = None
    product: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=63,
            pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
            description=(
                "Only on nodes with this value of nvidia.com/gpu.product, amd.com/gpu.product-name or "
                "gpu.intel.com/product, e.g. NVIDIA-H100-80GB-HBM3."
            ),
        ),
    ] = None
    driver: Annotated[
        Literal["i915", "xe"] | None,
        Field(description="Intel: the kernel driver that names the resource; xe from Battlemage on. Default: i915."),
    ] = None


class BackendResources(APIModel):
    """What one replica needs; with several nodes what it needs on each."""

    model_config = {
        "json_schema_extra": rules(
            (
                "self.nodes == 1 || !has(self.gpu) || !has(self.gpu.profile)",
                "a replica of several nodes needs whole GPUs: leave out gpu.profile",
            )
        )
    }

    gpu: GPU | None = None
    cpu: Annotated[Quantity | None, Field(description="CPU request.")] = None
    memory: Annotated[Quantity | None, Field(description="Memory request and limit.")] = None
    nodes: Annotated[
        int,
        Field(
            ge=1,
            le=32,
            description=(
                "Nodes that one replica spans, each with a pod of these resources (vLLM, SGLang); more than 1 needs "
                "LeaderWorkerSet in the cluster."
            ),
        ),
    ] = 1
