"""The base of every API model, and the scalar types that Kubernetes writes in its own way."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel


class APIModel(BaseModel):
    """A frozen value, camelCase on the wire; unknown fields are ignored so that an older SPLAI reads newer objects."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    def to_wire(self) -> dict[str, Any]:
        """The JSON form: camelCase keys, fields that are None left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def as_received(self) -> dict[str, Any]:
        """The JSON form of the fields that were given, without the defaults that filled the gaps."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)


def wrong_fields(error: ValidationError) -> str:
    """The paths of the fields that are wrong, never their contents; ``no JSON`` where it is not one field's fault."""
    paths = {".".join(str(part) for part in problem["loc"]) for problem in error.errors()}
    return ", ".join(sorted(paths)) or "no JSON"


def rules(*validations: tuple[str, str]) -> dict[str, Any]:
    """CEL rules as ``json_schema_extra``: pairs of (rule, message shown when it is false)."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in validations]}


def immutable(path: str) -> dict[str, Any]:
    """A field as ``json_schema_extra`` whose value stays as it was.

    An optional one needs `neither_added_nor_removed` too. Every patch of a status evaluates all rules, and each access
    of a field costs in proportion to its siblings: a rule that stands with the field itself accesses none
    (docs/decisions/0013).
    """
    return rules(("self == oldSelf", f"{path} is immutable"))


def neither_added_nor_removed(name: str, *, within: str = "") -> tuple[str, str]:
    """The rule of the parent for an optional field of `immutable` value: absent, it has no rules of its own."""
    return f"has(self.{name}) == has(oldSelf.{name})", f"{within}{name} is immutable"


def keyed_by(key: str) -> dict[str, Any]:
    """A list as ``json_schema_extra`` whose entries have a name of their own: applied one by one, none twice."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


def written_whole() -> dict[str, Any]:
    """A list as ``json_schema_extra`` that has one writer, the operator: its entries have no owners of their own.

    The record of owners is as large as the list, and kept and compared with every write: docs/decisions/0011.
    """
    return {"x-kubernetes-list-type": "atomic"}


def unfilled() -> dict[str, Any]:
    """A default as ``json_schema_extra`` that stays out of the CRD: a policy may give another one.

    ``model_fields_set`` says whether the user gave the field.
    """
    return {"x-splai-unfilled": True}


_DURATION = re.compile(r"(\d+)(ms|s|m|h)")
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
}


def parse_duration(text: str) -> timedelta:
    """Read a Go-style duration such as ``1s``, ``500ms`` or ``1h30m``; raises ValueError on anything else."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration: write it like 500ms, 30s or 1h30m")
    return sum((int(number) * _UNITS[unit] for number, unit in parts), timedelta())


def _check_duration(text: str) -> str:
    parse_duration(text)
    return text


Duration = Annotated[
    str,
    Field(pattern=r"^([0-9]+(ms|s|m|h))+$", max_length=32),
    AfterValidator(_check_duration),
]

ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]

Quantity = Annotated[
    str | int,
    Field(
        json_schema_extra={
            "x-kubernetes-int-or-string": True,
            "minimum": 0,
            "pattern": r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$",
        }
    ),
]

_SHARE = r"^([0-9]|[1-9][0-9]|100)%$"


def _check_share(most: int | str) -> int | str:
    if not (re.fullmatch(_SHARE, most) if isinstance(most, str) else most >= 0):
        raise ValueError("must be a number or a share such as 5%")
    return most


NumberOrShare = Annotated[
    int | str,
    Field(json_schema_extra={"x-kubernetes-int-or-string": True, "minimum": 0, "pattern": _SHARE}),
    AfterValidator(_check_share),
]


def format_time(moment: datetime) -> str:
    """RFC 3339 with second precision in UTC, as metav1.Time writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """Read a metav1.Time or MicroTime."""
    return datetime.fromisoformat(text)
