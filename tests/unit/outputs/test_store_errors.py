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


REDIRECT = "Error performing POST http://bucket.s3.us-east-1.amazonaws.com/x?uploads= in 3ms - Received redirect without LOCATION, this normally indicates an incorrectly configured region\n\nDebug source: inner: BareRedirect"  # noqa: E501
MALFORMED = (
    "<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; the region "
    "'us-east-1' is wrong; expecting 'eu-central-1'</Message><Region>eu-central-1</Region></Error>"
)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (GenericError(REDIRECT), "the bucket is not in the region us-east-1: name its region in spec.output.s3.region"),
        (
            GenericError(MALFORMED),
            "the bucket is in the region eu-central-1, not in us-east-1: name it in spec.output.s3.region "
            "(AuthorizationHeaderMalformed)",
        ),
    ],
)
def test_a_bucket_in_another_region_can_never_work_and_the_region_is_named(error: Exception, words: str) -> None:
    problem = explain(error, PLACE, region="us-east-1")
    assert (str(problem), problem.may_pass) == (f"{PLACE}: {words}", False)


def test_a_signature_that_is_malformed_for_another_cause_may_be_mended() -> None:
    malformed = MALFORMED.replace("eu-central-1", "us-east-1")
    assert explain(GenericError(malformed), PLACE, region="us-east-1").may_pass
