"""The child Job ``<job>-finish`` that writes the output when no worker does.

It needs no GPU, and it alone has the credentials of a destination of the user's.
"""

from splai.api.inference_job import InferenceJob
from splai.api.job_output import Output
from splai.api.pod_contract import OUTPUT_PATH, POD_USER
from splai.core.inferencejob.child_job import (
    Object,
    add_claim,
    add_secret,
    add_variables,
    file_job,
    file_pod,
)
from splai.core.inferencejob.children import FINISH
from splai.core.settings import OperatorSettings


def build_finish_job(job: InferenceJob, settings: OperatorSettings, *, code: str, message: str) -> Object:
    """``code`` and ``message`` go to records without an answer; both are empty when every task is committed."""
    pod = file_pod(job, settings, FINISH, "finish", command="finish")
    add_variables(pod, {"SPLAI_CLOSING_CODE": code, "SPLAI_CLOSING_MESSAGE": message})
    _add_destination(pod, job.spec.output)
    return file_job(job, FINISH, "finish", pod)


def _add_destination(pod: Object, output: Output) -> None:
    if output.bucket:
        add_secret(pod, output.bucket.secret_ref)
    if output.persistent_volume_claim:
        add_claim(pod, output.persistent_volume_claim.claim_name, OUTPUT_PATH, read_only=False)
        # A fresh volume belongs to root: its group is what lets another user write.
        pod["spec"]["securityContext"] |= {"fsGroup": POD_USER, "fsGroupChangePolicy": "OnRootMismatch"}
