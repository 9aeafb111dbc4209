"""The child Job ``<job>-finish`` that writes the output when no worker does.

It needs no GPU, and it alone has the credentials of a destination of the user's.
"""

from splai.api.inference_job import InferenceJob
from splai.api.job_output import Output
from splai.core.inferencejob.child_job import (
    FAILURE_RULES,
    Object,
    add_claim,
    add_secret,
    add_variables,
    child_job,
    child_pod,
    templates_without_engine,
)
from splai.core.inferencejob.children import FINISH
from splai.core.inferencejob.snapshot import WORKER_CONTAINER
from splai.core.pod_overlay import overlay_pod
from splai.core.settings import OperatorSettings

OUTPUT_PATH = "/output"
_TRIES = 6
_GROUP = 65532
_REQUESTS = {"cpu": "100m", "memory": "256Mi"}


def build_finish_job(job: InferenceJob, settings: OperatorSettings, *, code: str, message: str) -> Object:
    """``code`` and ``message`` go to records without an answer; both are empty when every task is committed."""
    pod = child_pod(job, settings, FINISH, "finish", command="finish", requests=_REQUESTS)
    add_variables(pod, {"SPLAI_CLOSING_CODE": code, "SPLAI_CLOSING_MESSAGE": message})
    _add_destination(pod, job.spec.output)
    template = overlay_pod(pod, templates_without_engine(job), container=WORKER_CONTAINER)
    return child_job(
        job,
        FINISH,
        "finish",
        {
            "backoffLimit": _TRIES,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": FAILURE_RULES},
            "template": template,
        },
    )


def _add_destination(pod: Object, output: Output) -> None:
    bucket = output.s3 or output.gcs or output.azure
    if bucket:
        add_secret(pod, bucket.secret_ref)
    if output.persistent_volume_claim:
        add_claim(pod, output.persistent_volume_claim.claim_name, OUTPUT_PATH, read_only=False)
        # A fresh volume belongs to root: its group is what lets another user write.
        pod["spec"]["securityContext"] |= {"fsGroup": _GROUP, "fsGroupChangePolicy": "OnRootMismatch"}
