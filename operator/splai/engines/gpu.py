"""How a cluster names the GPUs of each vendor: the resource to ask for, the label of the product, the usual taints.

Labels: NVIDIA's GPU feature discovery sets ``nvidia.com/gpu.product``
(https://github.com/NVIDIA/k8s-device-plugin/tree/main/docs/gpu-feature-discovery), AMD's node labeller
``amd.com/gpu.product-name`` (https://github.com/ROCm/k8s-device-plugin/tree/master/cmd/k8s-node-labeller), and Intel's
rules for Node Feature Discovery ``gpu.intel.com/product``
(https://github.com/intel/intel-device-plugins-for-kubernetes/blob/main/cmd/gpu_plugin/labels.md).

Taints: a node for a resource is tainted with the resource's name as the key, which GKE does by itself. The admission
plugin ExtendedResourceToleration answers it, but is off by default, and for a MIG slice it tolerates the name of the
slice, while the node has that of the GPU
(https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#extendedresourcetoleration). AKS leaves
taints to the user, and shows ``sku=gpu`` in its guide to GPU node pools. Only ``NoSchedule`` is tolerated: a node that
evicts pods has another reason to.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from splai.api.backend_resources import GPU
from splai.api.pod_template import PodTemplate, Toleration


@dataclass(frozen=True)
class _Names:
    resource: str
    product_label: str


_INTEL_DRIVER = "i915"  # of the Flex, Max and Arc A series; a node offers one of both, and a pod can't ask for either
_VENDORS: Mapping[str, _Names] = {
    "nvidia": _Names("nvidia.com/gpu", "nvidia.com/gpu.product"),
    "amd": _Names("amd.com/gpu", "amd.com/gpu.product-name"),
    "intel": _Names("gpu.intel.com/{driver}", "gpu.intel.com/product"),
}
_AKS_GPU_POOL = Toleration(key="sku", operator="Equal", value="gpu", effect="NoSchedule")


def gpu_resource(gpu: GPU) -> str:
    """The extended resource that the device plugin offers."""
    return f"nvidia.com/{gpu.profile}" if gpu.profile else _whole_gpu(gpu)


def gpu_placement(gpu: GPU) -> PodTemplate:
    """Which nodes have such GPUs, and the taints that keep others off them; the user's own template lies over it."""
    taint = Toleration(key=_whole_gpu(gpu), operator="Exists", effect="NoSchedule")
    selector = {_VENDORS[gpu.vendor].product_label: gpu.product} if gpu.product else None
    return PodTemplate(node_selector=selector, tolerations=[taint, _AKS_GPU_POOL])


def _whole_gpu(gpu: GPU) -> str:
    return _VENDORS[gpu.vendor].resource.format(driver=gpu.driver or _INTEL_DRIVER)
