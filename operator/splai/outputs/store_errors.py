"""What an object store's error means for a person: a reason, and words without the request that failed.

obstore's own messages hold URLs, and quote answers in which a store may name the access key. So only the code of the
answer and the kind of the network's failure are taken out of them.
"""

import re

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from splai.outputs.destination import OutputProblem, Reason

_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_FULL = {"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage", "507"}
_METADATA_SERVERS = ("169.254.169.254", "metadata.google.internal", "169.254.170.2")
_BAD_CREDENTIALS = ("redential", "Invalid Access Key", "Missing SecretAccessKey", "Missing AccessKeyId")
_RIGHT_REGION = re.compile(r"expecting '([a-z0-9-]{1,32})'|<Region>([a-z0-9-]{1,32})</Region>")
_REDIRECTS = ("PermanentRedirect", "BareRedirect")  # Amazon's word, and obstore's for a redirect to nowhere
_NETWORK = {
    "dns error": "its name is not resolved",
    "ConnectionRefused": "it refuses connections",
    "certificate": "its certificate is not accepted",
    "TimedOut": "it does not answer in time",
    "operation timed out": "it does not answer in time",
}


def explain(error: Exception, place: str, *, region: str = "") -> OutputProblem:
    """The problem behind an exception of obstore; ``region`` is the one that was asked for."""
    text = str(error)
    code = next((match[1] for pattern in (_CODE, _STATUS) if (match := pattern.search(text))), "")
    reason, words = _classify(error, text, code)
    if region and (told := _wrong_region(text, region)):
        reason, words = "OutputInvalid", told  # spec.output never changes, so no try can succeed
    return OutputProblem(reason, f"{place}: {words}{f' ({code})' if code else ''}")


def _wrong_region(text: str, region: str) -> str:
    """The words for a bucket that is in another region; nothing for any other trouble."""
    if (match := _RIGHT_REGION.search(text)) and (right := match[1] or match[2]) != region:
        return f"the bucket is in the region {right}, not in {region}: name it in spec.output.s3.region"
    if any(sign in text for sign in _REDIRECTS):
        return f"the bucket is not in the region {region}: name its region in spec.output.s3.region"
    return ""


def _classify(error: Exception, text: str, code: str) -> tuple[Reason, str]:
    if any(server in text for server in _METADATA_SERVERS):
        return "OutputForbidden", "no credentials: name a secretRef, or give the ServiceAccount a cloud identity"
    if code in _FULL:
        return "OutputFull", "the bucket takes no more"
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return "OutputForbidden", "the credentials do not allow to write here"
    if isinstance(error, FileNotFoundError):
        return "OutputNotFound", "there is no such bucket"
    if any(sign in text for sign in _BAD_CREDENTIALS):
        return "OutputForbidden", "the credentials cannot be used"
    network = next((words for sign, words in _NETWORK.items() if sign in text), "")
    kind = type(error).__name__ if isinstance(error, BaseError) else "the upload failed"
    return "OutputUnavailable", network or f"the store failed: {kind}"
