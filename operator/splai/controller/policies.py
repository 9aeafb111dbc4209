"""The policies that jobs may name, from a file which a ConfigMap fills: read at start, and again when it changes.

At start a bad file ends the operator with what is wrong in it. Later one is reported and the last good policies stay,
so that a slip of the administrator's stops nobody's jobs.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from splai.api.base import ObjectName
from splai.api.policy import Policy

READ_INTERVAL = 5.0
"""Seconds between two looks; the kubelet itself takes up to a minute to show a changed ConfigMap."""

_POLICIES = TypeAdapter(dict[ObjectName, Policy])

_log = logging.getLogger(__name__)


class PoliciesInvalid(Exception):
    """The file cannot be used; the message says where and why."""


class PolicyFile:
    """The policies of one file, or none without one."""

    def __init__(self, path: Path | None, *, clock: Callable[[], float]) -> None:
        """Reads the file; raises PoliciesInvalid."""
        self._path = path
        self._clock = clock
        self._next_look = clock() + READ_INTERVAL
        self._text = _read(path) if path else ""
        self._policies = parse_policies(self._text)
        self.is_current = True
        """False while the file holds what was refused, or cannot be read."""

    def current(self) -> Mapping[str, Policy]:
        """The policies as of now, or as of a few seconds ago."""
        if self._path and self._clock() >= self._next_look:
            self._next_look = self._clock() + READ_INTERVAL
            self._look_again(self._path)
        return self._policies

    def _look_again(self, path: Path) -> None:
        try:
            text = _read(path)
            if text == self._text and self.is_current:
                return
            policies = parse_policies(text)
        except PoliciesInvalid as error:
            if self.is_current:
                _log.error("the policies are not taken over", extra={"file": str(path), "error": str(error)})
            self.is_current = False
            return
        self._text, self._policies, self.is_current = text, policies, True
        _log.info("policies are read", extra={"file": str(path), "policies": sorted(policies)})


def parse_policies(text: str) -> Mapping[str, Policy]:
    """A YAML map from names to policies; unknown fields are refused, because a misspelt limit limits nothing.

    Raises PoliciesInvalid with each problem and its place.
    """
    try:
        found = _POLICIES.validate_python(yaml.safe_load(text) or {}, extra="forbid", by_alias=True, by_name=False)
    except yaml.YAMLError as error:
        raise PoliciesInvalid(f"not valid YAML: {error}") from error
    except ValidationError as error:
        raise PoliciesInvalid("; ".join(map(_told, error.errors(include_url=False)))) from error
    problems = [f"{name}.{problem}" for name, policy in found.items() for problem in _contradictions(policy)]
    if problems:
        raise PoliciesInvalid("; ".join(problems))
    return found


def _told(problem: ErrorDetails) -> str:
    place = ".".join(map(str, problem["loc"]))
    return f"{place}: {problem['msg'].removeprefix('Value error, ')}"


def _contradictions(policy: Policy) -> Iterator[str]:
    """Where a policy breaks its own limits."""
    defaults, limits = policy.defaults, policy.limits
    for field, default, most in (
        ("parallelism", defaults.parallelism, limits.max_parallelism),
        ("concurrency", defaults.concurrency, limits.max_concurrency),
    ):
        if default is not None and most is not None and default > most:
            yield f"defaults.{field}: is {default}, the policy's own limit is {most}"
    if policy.model is not None and limits.models is not None and policy.model not in limits.models:
        yield f"model: {policy.model} is not among limits.models"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PoliciesInvalid(f"{path} cannot be read: {error}") from error
