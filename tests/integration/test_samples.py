"""A real apiserver takes every sample as it is, so nobody's first `kubectl apply` is refused."""

from pathlib import Path

import pytest
import yaml

from tests.integration.running_control_plane import RunningControlPlane

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"


@pytest.mark.parametrize("sample", sorted(path.name for path in SAMPLES.iterdir()))
def test_sample_is_admitted_without_a_warning(control_plane: RunningControlPlane, namespace: str, sample: str) -> None:
    dry_run = ["apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "--output=name"]
    admitted = control_plane.kubectl("-n", namespace, *dry_run, "-f", str(SAMPLES / sample)).split()

    assert len(admitted) == len(list(yaml.safe_load_all((SAMPLES / sample).read_text())))


def test_samples_together_do_not_collide(control_plane: RunningControlPlane, namespace: str) -> None:
    applied = control_plane.kubectl("-n", namespace, "apply", "--output=name", "-f", str(SAMPLES)).split()

    assert len(applied) == len(set(applied))


def test_every_job_asks_for_a_model_that_a_sample_serves() -> None:
    objects = [found for path in SAMPLES.iterdir() for found in yaml.safe_load_all(path.read_text())]
    served = {found["spec"]["model"]["id"] for found in objects if found["kind"] == "ModelBackend"}

    assert {found["spec"]["model"] for found in objects if found["kind"] == "InferenceJob"} <= served
