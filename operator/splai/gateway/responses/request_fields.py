"""Checks of one value of a request; whatever they refuse is named by its path, as in ``input[2].content[0].text``."""

from typing import Any

from splai.gateway.errors import RequestError


def invalid(param: str, expected: str) -> RequestError:
    """The error for a value of the wrong type; the value itself is not quoted."""
    return RequestError(400, f"`{param}` must be {expected}", param=param, code="invalid_type")


def unsupported(param: str, reason: str) -> RequestError:
    """The error for a feature that exists in the Responses API and not here."""
    return RequestError(400, f"`{param}` is not supported: {reason}", param=param, code="unsupported_parameter")


def mapping(value: Any, param: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(param, "an object")
    return value


def sequence(value: Any, param: str) -> list[Any]:
    if not isinstance(value, list):
        raise invalid(param, "a list")
    return value


def text(value: Any, param: str) -> str:
    if not isinstance(value, str):
        raise invalid(param, "a string")
    return value


def boolean(value: Any, param: str) -> bool:
    if not isinstance(value, bool):
        raise invalid(param, "true or false")
    return value


def integer(value: Any, param: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid(param, "an integer")
    return value


def number(value: Any, param: str) -> float:
    """An integer stays one: it reaches the engine as it was written."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise invalid(param, "a number")
    return value
