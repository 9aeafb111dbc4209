import pytest

from splai.api.inference_job import InferenceJob, InferenceJobSpec
from splai.api.job_input import Input
from splai.api.model_backend import Model, ModelBackend, ModelBackendSpec
from splai.core.ownership import child_labels, child_metadata

METADATA = {"name": "a", "namespace": "team", "uid": "u"}
JOB = InferenceJob(metadata=METADATA, spec=InferenceJobSpec(model="m", input=Input(text="t")))
BACKEND = ModelBackend(metadata=METADATA, spec=ModelBackendSpec(model=Model(id="m")))


def test_labels_say_what_a_child_is_and_whose() -> None:
    assert child_labels(JOB, "worker") == {
        "app.kubernetes.io/managed-by": "splai",
        "app.kubernetes.io/component": "worker",
        "splai.dev/inferencejob": "a",
    }
    assert child_labels(BACKEND, "engine")["splai.dev/modelbackend"] == "a"


@pytest.mark.parametrize(("owner", "kind"), [(JOB, "InferenceJob"), (BACKEND, "ModelBackend")])
def test_the_owner_is_the_controller_and_waits_for_its_children(owner: InferenceJob | ModelBackend, kind: str) -> None:
    metadata = child_metadata(owner, "a-1", {"x": "y"})
    assert (metadata["namespace"], metadata["name"], metadata["labels"]) == ("team", "a-1", {"x": "y"})
    (reference,) = metadata["ownerReferences"]
    assert (reference["apiVersion"], reference["kind"], reference["uid"]) == ("splai.dev/v1alpha1", kind, "u")
    assert reference["controller"] is True
    assert reference["blockOwnerDeletion"] is True
