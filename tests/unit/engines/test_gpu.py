"""What a pod asks for, and where it may go, for the GPUs of each vendor."""

from typing import Any

import pytest

from splai.api.backend_resources import GPU
from splai.engines.gpu import gpu_placement, gpu_resource


def placement(**gpu: Any) -> dict[str, Any]:
    return gpu_placement(GPU.model_validate(gpu)).to_wire()


@pytest.mark.parametrize(
    ("gpu", "resource"),
    [
        ({}, "nvidia.com/gpu"),
        ({"profile": "mig-1g.10gb"}, "nvidia.com/mig-1g.10gb"),
        ({"vendor": "amd"}, "amd.com/gpu"),
        ({"vendor": "intel"}, "gpu.intel.com/i915"),
        ({"vendor": "intel", "driver": "i915"}, "gpu.intel.com/i915"),
        ({"vendor": "intel", "driver": "xe"}, "gpu.intel.com/xe"),
    ],
)
def test_each_vendors_device_plugin_has_a_resource_of_its_own(gpu: dict[str, Any], resource: str) -> None:
    assert gpu_resource(GPU.model_validate(gpu)) == resource


@pytest.mark.parametrize(
    ("gpu", "selector"),
    [
        ({"product": "NVIDIA-H100-80GB-HBM3"}, {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}),
        (
            {"vendor": "amd", "product": "AMD_Instinct_MI300X_OAM"},
            {"amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM"},
        ),
        ({"vendor": "intel", "product": "Max_1550"}, {"gpu.intel.com/product": "Max_1550"}),
    ],
)
def test_a_product_is_the_label_that_the_vendors_feature_discovery_sets(
    gpu: dict[str, Any], selector: dict[str, str]
) -> None:
    assert placement(**gpu)["nodeSelector"] == selector


def test_without_a_product_any_node_with_the_resource_will_do() -> None:
    assert "nodeSelector" not in placement()


@pytest.mark.parametrize(
    ("gpu", "key"),
    [
        ({}, "nvidia.com/gpu"),
        ({"profile": "mig-1g.10gb"}, "nvidia.com/gpu"),
        ({"vendor": "amd"}, "amd.com/gpu"),
        ({"vendor": "intel"}, "gpu.intel.com/i915"),
        ({"vendor": "intel", "driver": "xe"}, "gpu.intel.com/xe"),
    ],
)
def test_the_taints_that_keep_others_off_gpu_nodes_are_tolerated(gpu: dict[str, Any], key: str) -> None:
    assert placement(**gpu)["tolerations"] == [
        {"key": key, "operator": "Exists", "effect": "NoSchedule"},
        {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"},
    ]
