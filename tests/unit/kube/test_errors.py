"""A reply of the apiserver becomes the class that names our reaction, with the apiserver's words."""

import pytest

from splai.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    Throttled,
    Unavailable,
    error_from_status,
    unreachable,
)
from splai.kube.resource import JOBS


@pytest.mark.parametrize(
    ("code", "reason", "want"),
    [
        (400, "BadRequest", Invalid),
        (401, "Unauthorized", ApiError),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (410, "Expired", Gone),
        (413, "RequestEntityTooLarge", Invalid),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", Throttled),
        (500, "InternalError", Unavailable),
        (504, "Timeout", Unavailable),
    ],
)
def test_the_status_code_and_reason_decide_the_class(code: int, reason: str, want: type[ApiError]) -> None:
    error = error_from_status(code, {"reason": reason, "message": "in the apiserver's words"})

    assert type(error) is want
    assert str(error) == "in the apiserver's words"


@pytest.mark.parametrize(("header", "want"), [("7", 7.0), (None, 1.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 1.0)])
def test_throttled_carries_the_wait_that_was_asked_for(header: str | None, want: float) -> None:
    error = error_from_status(429, {}, retry_after=header)

    assert isinstance(error, Throttled)
    assert error.retry_after == want


def test_a_body_that_is_no_status_is_shown_shortened() -> None:
    assert str(error_from_status(502, "<html>" + "x" * 5000)).startswith("<html>x")
    assert len(str(error_from_status(502, "x" * 5000))) == 2048


def test_no_answer_names_the_resource_and_the_kind_of_failure() -> None:
    assert str(unreachable(JOBS, TimeoutError())) == "no answer from the apiserver about jobs.batch: TimeoutError"
