"""What is patched into Argo CD's ConfigMap is the customizations, whole and under the keys that Argo CD reads."""

import yaml

from charts import argo_cd
from splai.api.crd import RESOURCES

DATA: dict[str, str] = yaml.safe_load(argo_cd.CONFIG_MAP.read_text())["data"]
PREFIX = "resource.customizations"


def test_checked_in_patch_is_generated() -> None:
    assert argo_cd.CONFIG_MAP.read_text() == argo_cd.config_map(), "run `make generate`"


def test_every_kind_has_its_health() -> None:
    kinds = {f"splai.dev_{resource.model.__name__}" for resource in RESOURCES}

    assert {key for key in DATA if ".health." in key} == {f"{PREFIX}.health.{kind}" for kind in kinds}


def test_each_script_is_there_letter_by_letter() -> None:
    for kind in ("InferenceJob", "ModelBackend"):
        folder = argo_cd.CUSTOMIZATIONS / "splai.dev" / kind
        assert DATA[f"{PREFIX}.health.splai.dev_{kind}"] == (folder / "health.lua").read_text()


def test_actions_are_those_that_are_discovered() -> None:
    folder = argo_cd.CUSTOMIZATIONS / "splai.dev" / "InferenceJob" / "actions"
    actions = yaml.safe_load(DATA[f"{PREFIX}.actions.splai.dev_InferenceJob"])

    assert actions["discovery.lua"] == (folder / "discovery.lua").read_text()
    assert {it["name"]: it["action.lua"] for it in actions["definitions"]} == {
        name: (folder / name / "action.lua").read_text() for name in ("suspend", "resume", "cancel", "retry-failed")
    }
