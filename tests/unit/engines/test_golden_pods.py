"""The whole pod of each engine, beside a comment that says where its options and probes are documented.

A change here is one that users' pods see: read it, then write the file anew.
"""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from splai.api.model_backend import Engine, ModelBackend
from splai.core.modelbackend.deployment import build_deployment
from splai.core.settings import OperatorSettings
from splai.engines.images import EngineImages

SEVERAL_NODES = Path(__file__).parents[1] / "core" / "modelbackend" / "testdata"
GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.yaml"))
IMAGES = EngineImages(llamacpp="llamacpp:1", vllm="vllm:1", sglang="sglang:1", tgi="tgi:1")
SETTINGS = OperatorSettings(image="splai/splai:1", engine_images=IMAGES)
OURS = {"Ollama", "Remote", "Workflow"}
"""Run a script or a command of SPLAI's, which tests of their own hold against their pods."""
METADATA = {"name": "model", "namespace": "team", "uid": "uid"}


def pod_of(spec: dict[str, Any]) -> dict[str, Any]:
    backend = ModelBackend.model_validate({"metadata": METADATA, "spec": spec})
    pod: dict[str, Any] = build_deployment(backend, SETTINGS)["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_pod_is_as_it_was_read(path: Path) -> None:
    golden = yaml.safe_load(path.read_text())

    assert pod_of(golden["spec"]) == golden["pod"]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_it_says_where_its_options_are_documented(path: Path) -> None:
    comment = path.read_text().partition("spec:")[0]
    options = {
        arg
        for container in yaml.safe_load(path.read_text())["pod"]["containers"]
        for arg in container.get("args", ())
        if arg.startswith("--")
    }
    users = set(yaml.safe_load(path.read_text())["spec"]["engine"].get("args", ()))

    assert {option for option in options - users if option not in comment} == set()


@pytest.mark.parametrize(
    ("engine", "name"), [("vllm", "leader_worker_set.json"), ("sglang", "leader_worker_set_sglang.json")]
)
def test_it_says_where_the_options_of_several_nodes_are_documented(engine: str, name: str) -> None:
    comment = (Path(__file__).parent / "golden" / f"{engine}.yaml").read_text().partition("spec:")[0]
    pods = json.loads((SEVERAL_NODES / name).read_text())["spec"]["leaderWorkerTemplate"]
    options = {
        arg
        for pod in (pods["leaderTemplate"], pods["workerTemplate"])
        for arg in pod["spec"]["containers"][0]["args"]
        if arg.startswith("--")
    }

    assert {option for option in options - {"--max-model-len"} if option not in comment} == set()


def test_there_is_one_of_every_engine_that_is_not_ours() -> None:
    engines = {yaml.safe_load(path.read_text())["spec"]["engine"]["type"] for path in GOLDEN}

    assert engines == set(get_args(Engine.model_fields["type"].annotation)) - OURS


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_no_engine_runs_code_that_comes_with_a_model(path: Path) -> None:
    assert "trust-remote-code" not in path.read_text()
