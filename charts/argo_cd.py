"""Write what follows from the Lua in manifests/argo-cd: the entries of Argo CD's own ConfigMap.

python -m charts.argo_cd
"""

from pathlib import Path
from typing import Any

import yaml

ARGO_CD = Path(__file__).resolve().parents[1] / "manifests" / "argo-cd"
CUSTOMIZATIONS = ARGO_CD / "resource_customizations"
CONFIG_MAP = ARGO_CD / "argocd-cm.yaml"

_HEADER = """\
# kubectl -n argocd patch configmap argocd-cm --type merge --patch-file argocd-cm.yaml
# Generated from resource_customizations by `make generate`; do not edit.
"""


class _Text(str):
    """Written as a block, line by line."""

    __slots__ = ()


def _represent(dumper: yaml.SafeDumper, text: _Text) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Text, _represent)


def entries() -> dict[str, str]:
    """The keys and values that argocd-cm gets."""
    found: dict[str, str] = {}
    for folder in sorted(CUSTOMIZATIONS.glob("*/*/")):
        kind = f"{folder.parent.name}_{folder.name}"
        found[f"resource.customizations.health.{kind}"] = _Text((folder / "health.lua").read_text())
        if (folder / "actions").exists():
            found[f"resource.customizations.actions.{kind}"] = _Text(_dump(_actions(folder / "actions")))
    return found


def _actions(folder: Path) -> dict[str, Any]:
    scripts = sorted(folder.glob("*/action.lua"))
    definitions = [{"name": script.parent.name, "action.lua": _Text(script.read_text())} for script in scripts]
    return {"discovery.lua": _Text((folder / "discovery.lua").read_text()), "definitions": definitions}


def config_map() -> str:
    """What argocd-cm.yaml must hold: a patch, for kubectl and for kustomize."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"}, "data": entries()}
    return _HEADER + _dump(body)


def _dump(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=200)


if __name__ == "__main__":
    CONFIG_MAP.write_text(config_map())
