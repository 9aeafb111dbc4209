"""The policies that jobs may name, from a file which a ConfigMap fills: read at start, and again when it changes.

At start a bad file ends the operator with what is wrong in it. Later one is reported and the last good policies stay,
so that a slip of the administrator's stops nobody's jobs.
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from splai.api.base import ObjectName
from splai.api.policy import Policy

READ_INTERVAL = 5.0
"""Seconds between two looks; the kubelet itself takes up to a minute to show a changed ConfigMap."""

_POLICIES = TypeAdapter(dict[ObjectName, Policy])
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_PERCENT = re.compile(r"([0-9]|[1-9][0-9]|100)%")

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
    """A YAML map from names to policies; unknown fields are refused, because a misspelt limit limits nothing."""
    try:
        found = _POLICIES.validate_python(yaml.safe_load(text) or {}, extra="forbid", by_alias=True, by_name=False)
    except yaml.YAMLError as error:
        raise PoliciesInvalid(f"not valid YAML: {error}") from error
    except ValidationError as error:
        found_wrong = (f"{'.'.join(map(str, it['loc']))}: {it['msg']}" for it in error.errors(include_url=False))
        raise PoliciesInvalid("; ".join(found_wrong)) from error
    problems = [f"{name}.{problem}" for name, policy in found.items() for problem in _contradictions(policy)]
    if problems:
        raise PoliciesInvalid("; ".join(problems))
    return found


def _contradictions(policy: Policy) -> Iterator[str]:
    """Where a policy breaks its own limits, or what no type says about a field."""
    defaults, limits = policy.defaults, policy.limits
    for field, default, most in (
        ("parallelism", defaults.parallelism, limits.max_parallelism),
        ("concurrency", defaults.concurrency, limits.max_concurrency),
    ):
        if default is not None and most is not None and default > most:
            yield f"defaults.{field}: is {default}, the policy's own limit is {most}"
    if policy.model is not None and limits.models is not None and policy.model not in limits.models:
        yield f"model: {policy.model} is not among limits.models"
    if defaults.priority is not None and not _NAME.fullmatch(defaults.priority):
        yield f"defaults.priority: {defaults.priority!r} is no name of a PriorityClass"
    if defaults.failure_policy is not None:
        share = defaults.failure_policy.max_failed_records
        if (isinstance(share, str) and not _PERCENT.fullmatch(share)) or (isinstance(share, int) and share < 0):
            yield "defaults.failurePolicy.maxFailedRecords: must be a number or a share such as 5%"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PoliciesInvalid(f"{path} cannot be read: {error}") from error
