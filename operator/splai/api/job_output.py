"""Where an InferenceJob's finished files go, and what they look like."""

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field

from splai.api.base import APIModel, rules
from splai.api.pod_template import LocalObjectReference
from splai.api.storage import S3Access, VolumePath

OutputFormat = Literal["openai-batch", "parquet"]
OutputOrder = Literal["input", "completion"]
_PLAIN_PATH = rules(
    (
        "!self.substring(5).matches('//+[^/]|/[.][.]?(/|$)')",  # behind the scheme; slashes at the end are cut off
        "the path must not have an empty segment, . or ..: no bucket has such a key",
    )
)


class S3Output(S3Access):
    """A prefix in a bucket of any S3 API."""

    uri: Annotated[
        str, Field(pattern=r"^s3://[a-z0-9][-a-z0-9.]+(/.*)?$", max_length=1200, json_schema_extra=_PLAIN_PATH)
    ]


class GCSOutput(APIModel):
    """A prefix in a bucket of Google Cloud Storage."""

    uri: Annotated[
        str, Field(pattern=r"^gs://[a-z0-9][-_a-z0-9.]+(/.*)?$", max_length=1200, json_schema_extra=_PLAIN_PATH)
    ]
    secret_ref: Annotated[
        LocalObjectReference | None,
        Field(
            description=(
                "A Secret whose key GOOGLE_SERVICE_ACCOUNT_KEY holds a service account's JSON key, read by the kubelet "
                "only; without it the ServiceAccount's cloud identity."
            )
        ),
    ] = None


class AzureOutput(APIModel):
    """A prefix in a container of Azure Blob Storage."""

    uri: Annotated[
        str,
        Field(
            pattern=r"^az://[a-z0-9]+/[a-z0-9][-a-z0-9]+(/.*)?$",
            max_length=1200,
            description="az://account/container/prefix.",
            json_schema_extra=_PLAIN_PATH,
        ),
    ]
    secret_ref: Annotated[
        LocalObjectReference | None,
        Field(
            description=(
                "A Secret whose key AZURE_STORAGE_ACCOUNT_KEY holds the account's key, read by the kubelet only; "
                "without it the ServiceAccount's cloud identity."
            )
        ),
    ] = None


class Output(APIModel):
    """The finished files, ``output`` and ``errors``: in the installation's artifact store, or in one place of yours.

    In a place of yours they stand in a folder with the job's name.
    """

    model_config = {
        "json_schema_extra": rules(
            (
                "dyn(self).size() <= 3",  # beside format and order, which have defaults; counting accesses no field
                "set at most one of s3, gcs, azure, persistentVolumeClaim",
            )
        )
    }

    s3: S3Output | None = None
    gcs: GCSOutput | None = None
    azure: AzureOutput | None = None
    persistent_volume_claim: VolumePath | None = None
    format: Annotated[
        OutputFormat,
        Field(description="openai-batch: lines of the OpenAI Batch output and error files. parquet: their columns."),
    ] = "openai-batch"
    order: Annotated[
        OutputOrder,
        Field(description="input: that of the records. completion: task after task, each in the order of its answers."),
    ] = "input"

    @property
    def bucket(self) -> S3Output | GCSOutput | AzureOutput | None:
        """The place of the user's, if it is a bucket."""
        return self.s3 or self.gcs or self.azure

    @property
    def has_destination(self) -> bool:
        """Whether the files go to a place of the user's."""
        return bool(self.bucket or self.persistent_volume_claim)

    @property
    def needs_finish_job(self) -> bool:
        """Whether a pod without a GPU, and with the place's credentials, writes the files instead of a worker."""
        return self.has_destination or self.format != "openai-batch"

    def folder_uri(self, job: str) -> str:
        """The folder of a job's files, with a slash at its end; empty in the artifact store, where nobody names it."""
        if self.bucket:
            return f"{self.bucket.uri.rstrip('/')}/{job}/"
        if claim := self.persistent_volume_claim:
            return f"pvc://{PurePosixPath(claim.claim_name, claim.path, job)}/"
        return ""

    def file_name(self, kind: Literal["output", "errors"]) -> str:
        """Name of one of the two files."""
        return f"{kind}.{'parquet' if self.format == 'parquet' else 'jsonl'}"
