"""The child Job ``<job>-plan`` that reads an input which the apiserver does not hold.

It needs no GPU and no quota of the workers', and it alone has the credentials of the source.
"""

from splai.api.inference_job import InferenceJob
from splai.api.job_input import Input
from splai.api.pod_contract import INPUT_PATH
from splai.core.inferencejob.child_job import (
    TOKEN_PATH,
    Object,
    add_claim,
    add_secret,
    add_variables,
    file_job,
    file_pod,
    folder_token,
)
from splai.core.inferencejob.children import PLAN
from splai.core.settings import OperatorSettings


def build_plan_job(job: InferenceJob, settings: OperatorSettings, *, earlier_uid: str | None = None) -> Object:
    """``earlier_uid`` is that of the job which ``input.failedOf`` names: its folder is opened for reading, too."""
    pod = file_pod(job, settings, PLAN, "plan", command="plan")
    _add_source(pod, job.spec.input)
    # Said in any case: a variable that is set cannot come from the user's Secret.
    add_variables(pod, {"SPLAI_ALLOW_PRIVATE_URLS": "true" if settings.allow_private_urls else "false"})
    if earlier_uid is not None:
        pod["spec"]["volumes"][0]["projected"]["sources"].append(folder_token(earlier_uid, "earlier-token"))
        # The UID goes with its token: reading.json may be of a time when the name was that of another job.
        token_file = f"{TOKEN_PATH}/earlier-token"
        add_variables(pod, {"SPLAI_EARLIER_TOKEN_FILE": token_file, "SPLAI_EARLIER_UID": earlier_uid})
    return file_job(job, PLAN, "plan", pod)


def _add_source(pod: Object, source: Input) -> None:
    remote = source.s3 or source.http or source.hugging_face
    if remote:
        add_secret(pod, remote.secret_ref)
    if source.persistent_volume_claim:
        add_claim(pod, source.persistent_volume_claim.claim_name, INPUT_PATH, read_only=True)
