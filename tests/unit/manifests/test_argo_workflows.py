"""The Argo Workflows template follows the API: each phase that ends a job ends the step, and no other does."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from splai import __version__
from splai.api.inference_job import TERMINAL_PHASES, InferenceJobSpec

MANIFESTS = Path(__file__).parents[3] / "manifests" / "argo-workflows"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((MANIFESTS / name).read_text()))


def test_every_terminal_phase_ends_the_step_and_only_completed_is_a_success() -> None:
    step = documents("template.yaml")[0]["spec"]["templates"][0]["resource"]
    failures = re.fullmatch(r"status\.phase in \(([A-Za-z, ]+)\)", step["failureCondition"])

    assert failures is not None
    assert step["successCondition"] == "status.phase == Completed"
    assert {"Completed", *failures[1].split(", ")} == set(TERMINAL_PHASES)


def test_the_job_of_the_sample_is_valid() -> None:
    workflow = documents("workflow.yaml")[0]

    (parameter,) = workflow["spec"]["arguments"]["parameters"]

    InferenceJobSpec.model_validate(json.loads(parameter["value"]))


def test_the_sample_counts_with_the_image_of_this_version() -> None:
    text = (MANIFESTS / "workflow.yaml").read_text()

    assert re.findall(r"image: docker\.io/splai/splai:(\S+)", text) == [__version__]
