"""A word that a status or an event may hold is explained to users; both are read from their source."""

import ast
import re
from pathlib import Path

import pytest

from splai.core import pod_problem
from splai.gateway.metrics import Metrics

REPOSITORY = Path(__file__).parents[2]
CORE = REPOSITORY / "operator" / "splai" / "core"

MODULES = {
    "inference-jobs": [
        *(f"inferencejob/{module}" for module in ("backend", "endings", "events", "facts", "input_state", "phase")),
        *(f"inferencejob/{module}" for module in ("queue", "verdicts", "workers_ready")),
        "pod_problem",
    ],
    "model-backends": [
        *(f"modelbackend/{module}" for module in ("autoscaling", "kubelet_words", "progress", "shortfall", "status")),
        "pod_problem",
    ],
}

# What is observed, the value of a field, a refusal or a type; but never a reason in a status.
FOREIGN = pod_problem._IMAGE_REASONS | {
    *("True", "False", "Unknown", "Normal", "Warning"),
    *("PodFailurePolicy", "ReplicaFailure", "Invalid", "Replicas", "Evicted", "LocalQueue"),
    *("WaitingForInput", "InputRejected"),
    *("Unhealthy", "StartError", "ContainerCannotRun"),
}

REFUSED = {"InternalError"}
"""Of refusals, which a status takes over as they are."""

_WORD = re.compile(r"(?:[A-Z]+[a-z]+)+")


def words(source: str) -> set[str]:
    """The strings of a module that are one word in upper camel case."""
    nodes = ast.walk(ast.parse(source))
    strings = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return {string for string in strings if _WORD.fullmatch(string)}


def explained(page: str) -> set[str]:
    """The words in code letters on a page."""
    return set(re.findall(r"`([^`\n]+)`", page))


@pytest.mark.parametrize("page", MODULES)
def test_every_reason_is_explained(page: str) -> None:
    said = {word for module in MODULES[page] for word in words((CORE / f"{module}.py").read_text())}
    text = (REPOSITORY / "docs" / f"{page}.md").read_text()

    assert said - FOREIGN - explained(text) == set()


def test_the_table_of_a_backends_reasons_holds_no_other() -> None:
    text = (REPOSITORY / "docs" / "model-backends.md").read_text()
    table = text.partition("| Reason | What it means, and what to do |")[2].partition("\n\n")[0]
    reasons = {word for row in table.splitlines() for word in re.findall(r"`(\w+)`", row.split("|")[1] if row else "")}
    said = {word for module in MODULES["model-backends"] for word in words((CORE / f"{module}.py").read_text())}

    assert reasons
    assert reasons - said - REFUSED == set()


def test_every_metric_of_the_gateway_is_explained() -> None:
    text = (REPOSITORY / "docs" / "observability.md").read_text()
    metrics = [metric for metric in Metrics().registry.collect() if not metric.name.startswith("process_")]

    names = {metric.name + ("_total" if metric.type == "counter" else "") for metric in metrics}
    assert names - explained(text) == set()


def test_a_reason_is_told_from_other_strings() -> None:
    source = 'Verdict("WorkersReady", "False", "OOMKilled", "the workers are gone", f"{x}Y")'

    assert words(source) == {"WorkersReady", "False", "OOMKilled"}


def cited_tests() -> list[str]:
    """The tests that pages name, as ``path`` or ``path::function``."""
    pages = (page.read_text() for page in (REPOSITORY / "docs").rglob("*.md"))
    return sorted({cited for page in pages for cited in re.findall(r"`(tests/[\w/]+(?:\.py(?:::\w+)?)?)`", page)})


@pytest.mark.parametrize("cited", cited_tests())
def test_a_test_that_a_page_names_exists(cited: str) -> None:
    path, _, function = cited.partition("::")

    assert (REPOSITORY / path).exists()
    if function:
        assert re.search(rf"def {function}\(", (REPOSITORY / path).read_text())
