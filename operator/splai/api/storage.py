"""Places that inputs come from and outputs go to: volumes of the namespace, and buckets."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from splai.api.base import APIModel, ObjectName, rules
from splai.api.pod_template import LocalObjectReference

DEFAULT_S3_REGION = "us-east-1"
_REGION = re.compile(r"[a-z0-9-]+")
S3_IDENTITIES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
"""Variables that say whom a pod is to S3: a Secret's, or a ServiceAccount's. Without one of them it is nobody."""


def bucket_and_key(uri: str) -> tuple[str, str]:
    """What stands behind the scheme, before and after the first slash; in a key # and ? mean nothing."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


class VolumePath(APIModel):
    """A path on a PersistentVolumeClaim of the same namespace."""

    claim_name: Annotated[ObjectName, Field(description="Name of the PersistentVolumeClaim.")]
    path: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1024,
            pattern=r"^[^/]",
            description="Path from the volume's root.",
            json_schema_extra=rules(("!self.split('/').exists(part, part == '..')", "must not leave the volume")),
        ),
    ]


class S3Endpoint(APIModel):
    """How an S3 API is reached."""

    endpoint: Annotated[
        str | None,
        Field(
            pattern=r"^https?://[^/?#@]+$",
            max_length=256,
            description="URL of another S3 service than Amazon's, e.g. http://minio.minio.svc:9000.",
        ),
    ] = None
    region: Annotated[
        str | None,
        Field(
            max_length=64,
            description=(
                "Region of the bucket. Default: at Amazon's own S3 the AWS_REGION that the ServiceAccount's cloud "
                f"identity gives to its pods, else {DEFAULT_S3_REGION}."
            ),
        ),
    ] = None

    def region_in(self, environment: Mapping[str, str]) -> str:
        """The region to ask for; others' services have regions of their own, or none.

        Raises ValueError for what is none and would become a part of Amazon's host name.
        """
        if self.endpoint is not None:
            return self.region or DEFAULT_S3_REGION
        region = self.region or environment.get("AWS_REGION") or DEFAULT_S3_REGION
        if not _REGION.fullmatch(region):
            raise ValueError("s3.region is not the name of a region")
        return region


class S3Access(S3Endpoint):
    """How an S3 API is reached, and as whom."""

    secret_ref: Annotated[
        LocalObjectReference | None,
        Field(
            description=(
                "A Secret with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN), read by the "
                "kubelet only; without it the ServiceAccount's cloud identity."
            )
        ),
    ] = None
