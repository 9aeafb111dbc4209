"""What is said of an object store that fails: enough to mend it, and no secret."""

import pytest
from obstore.exceptions import GenericError, PermissionDeniedError, UnauthenticatedError

from splai.outputs.store_errors import explain

PLACE = "s3://bucket/triage/"
ANSWER = (
    "Error performing POST http://minio:9000/bucket/x?uploads= in 3ms - Server returned non-2xx status code: {status}: "
    "<Error><Code>{code}</Code><Message>secret-words</Message><AWSAccessKeyId>AKIAEXAMPLE</AWSAccessKeyId></Error>"
)


def answered(status: str, code: str) -> str:
    return ANSWER.format(status=status, code=code)


@pytest.mark.parametrize(
    ("error", "reason", "words"),
    [
        (
            PermissionDeniedError(answered("403 Forbidden", "SignatureDoesNotMatch")),
            "OutputForbidden",
            "the credentials do not allow to write here (SignatureDoesNotMatch)",
        ),
        (
            UnauthenticatedError("no token"),
            "OutputForbidden",
            "the credentials do not allow to write here",
        ),
        (
            FileNotFoundError(answered("404 Not Found", "NoSuchBucket")),
            "OutputNotFound",
            "there is no such bucket (NoSuchBucket)",
        ),
        (
            GenericError(answered("507 Insufficient Storage", "XMinioStorageFull")),
            "OutputFull",
            "the bucket takes no more (XMinioStorageFull)",
        ),
        (
            GenericError("Error performing PUT http://169.254.169.254/latest/api/token in 1s - HTTP error"),
            "OutputForbidden",
            "no credentials: name a secretRef, or give the ServiceAccount a cloud identity",
        ),
        (
            GenericError("GCP credential error: Unable to decode service account file: missing field `private_key`"),
            "OutputForbidden",
            "the credentials cannot be used",
        ),
        (
            GenericError("Generic S3 error: Missing SecretAccessKey"),
            "OutputForbidden",
            "the credentials cannot be used",
        ),
        (GenericError("error sending request: dns error"), "OutputUnavailable", "its name is not resolved"),
        (GenericError("Os { code: 111, kind: ConnectionRefused }"), "OutputUnavailable", "it refuses connections"),
        (GenericError("something new with secret-words"), "OutputUnavailable", "the store failed: GenericError"),
    ],
)  # fmt: skip
def test_every_failure_has_a_reason_and_words(error: Exception, reason: str, words: str) -> None:
    problem = explain(error, PLACE)
    assert (problem.reason, str(problem)) == (reason, f"{PLACE}: {words}")
    assert "AKIA" not in str(problem)
    assert "secret-words" not in str(problem)
