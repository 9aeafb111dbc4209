"""A real apiserver takes every sample as it is, so nobody's first `kubectl apply` is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from splai.api.inference_job import InferenceJob
from splai.api.job_input import Input
from splai.api.job_output import Output
from splai.api.model_backend import Engine, ModelBackendSpec
from tests.integration.running_control_plane import RunningControlPlane

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
SUPPORT_DESK = SAMPLES.parent / "support-desk"
"""Code and all, and so with a test of its own."""
FILES = sorted(SAMPLES.rglob("*.yaml"))
OBJECTS: list[dict[str, Any]] = [found for path in FILES for found in yaml.safe_load_all(path.read_text())]


@pytest.mark.parametrize("sample", FILES, ids=lambda path: str(path.relative_to(SAMPLES)))
def test_sample_is_admitted_without_a_warning(control_plane: RunningControlPlane, namespace: str, sample: Path) -> None:
    dry_run = ["apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "--output=name"]
    admitted = control_plane.kubectl("-n", namespace, *dry_run, "-f", str(sample)).split()

    assert len(admitted) == len(list(yaml.safe_load_all(sample.read_text())))


def test_samples_together_do_not_collide(control_plane: RunningControlPlane, namespace: str) -> None:
    applied = control_plane.kubectl("-n", namespace, "apply", "--output=name", "-R", "-f", str(SAMPLES)).split()

    assert len(applied) == len(set(applied)) == len(OBJECTS)


def jobs() -> dict[str, InferenceJob]:
    found = [InferenceJob.model_validate(it) for it in OBJECTS if it["kind"] == "InferenceJob"]
    return {job.metadata["name"]: job for job in found}


def test_every_job_asks_for_a_model_that_a_sample_serves() -> None:
    served = {found["spec"]["model"]["id"] for found in OBJECTS if found["kind"] == "ModelBackend"}

    assert {job.spec.model for job in jobs().values() if job.spec.policy is None} <= served


def test_there_is_a_sample_of_every_source() -> None:
    given = {name for job in jobs().values() for name in job.spec.input.model_fields_set}

    assert given >= Input.model_fields.keys() - {"format", "limit"}


def backends() -> list[ModelBackendSpec]:
    return [ModelBackendSpec.model_validate(it["spec"]) for it in OBJECTS if it["kind"] == "ModelBackend"]


def test_there_is_a_sample_of_every_engine() -> None:
    workflow = yaml.safe_load((SUPPORT_DESK / "modelbackend.yaml").read_text())["spec"]["engine"]["type"]
    shown = {workflow, *(spec.engine.type for spec in backends())}

    assert shown == set(get_args(Engine.model_fields["type"].annotation))


def test_backends_name_claims_and_secrets_that_samples_bring() -> None:
    names = {(found["kind"], found["metadata"]["name"]) for found in OBJECTS}
    models = [spec.model for spec in backends()]

    assert {("Secret", model.credentials.name) for model in models if model.credentials} <= names
    assert {("PersistentVolumeClaim", model.cache.claim_name) for model in models if model.cache} <= names


def test_samples_name_what_other_samples_bring() -> None:
    names = {(found["kind"], found["metadata"]["name"]) for found in OBJECTS}
    for job in jobs().values():
        for kind, name in named(job.spec.input, job.spec.output):
            assert (kind, name) in names


def named(source: Input, output: Output) -> Iterator[tuple[str, str]]:
    """Kind and name of what a job's input and output need."""
    if source.config_map:
        yield "ConfigMap", source.config_map.name
    if source.failed_of:
        yield "InferenceJob", source.failed_of.name
    for volume in filter(None, (source.persistent_volume_claim, output.persistent_volume_claim)):
        yield "PersistentVolumeClaim", volume.claim_name
    for bucket in (source.s3, output.s3):
        if bucket and bucket.secret_ref:
            yield "Secret", bucket.secret_ref.name
