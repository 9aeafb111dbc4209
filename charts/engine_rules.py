"""Write what follows from the engines' own names of their metrics: the chart's recording rules.

python -m charts.engine_rules
"""

from pathlib import Path
from typing import Any

import yaml

from splai.engines import METRICS
from splai.engines.metrics import COMMON, Kind

RULES = Path(__file__).resolve().parent / "splai" / "files" / "engine-rules.yaml"

_HEADER = "# Generated from splai/engines by `make generate`; do not edit.\n"
_BY = ("namespace", "modelbackend", "pod")
# Set by the chart's PodMonitor: a vLLM of somebody else has its metrics counted elsewhere.
_OURS = '{modelbackend!=""}'


def groups() -> dict[str, Any]:
    """The spec of a PrometheusRule: for each pod what its engine tells, under the names that all engines share."""
    rules = [
        rule
        for field, kind in COMMON.items()
        for engine, metrics in METRICS.items()
        if (common := f"splai_engine_{field}") in metrics.names
        for rule in _rules(common, metrics.names[common], kind, engine)
    ]
    return {"groups": [{"name": "splai-engines", "rules": rules}]}


def _rules(common: str, name: str, kind: Kind, engine: str) -> list[dict[str, Any]]:
    """A pod may have several series, of its ranks or of its models; how full they are does not add up."""
    operation = "max" if kind == "ratio" else "sum"
    suffixes = {"_bucket": (*_BY, "le"), "_sum": _BY, "_count": _BY} if kind == "histogram" else {"": _BY}
    return [
        {
            "record": f"{common}{suffix}",
            "expr": f"{operation} by ({', '.join(labels)}) ({name}{suffix}{_OURS})",
            "labels": {"engine": engine},
        }
        for suffix, labels in suffixes.items()
    ]


def text() -> str:
    """What engine-rules.yaml must hold."""
    return _HEADER + yaml.safe_dump(groups(), sort_keys=False, width=120)


if __name__ == "__main__":
    RULES.write_text(text())
