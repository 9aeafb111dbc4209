"""Whether what we applied is still ours: a field that somebody else changes is theirs from then on.

The apiserver keeps, for each manager of an object, the fields it set (``metadata.managedFields``). Whoever gives one of
ours another value, or removes it, takes it out of our entry. So a hand edit shows as a field that we want and do not
own. No value is compared, which would fight with the defaults that the apiserver fills in and with webhooks; and what
others added beside our fields is none of our business.
"""

import json
from collections.abc import Mapping
from typing import Any

FIELD_MANAGER = "splai"

Fields = Mapping[str, Any]
"""A tree in the apiserver's notation: ``f:name`` a field, ``k:{…}`` a list's item by its key, ``v:…`` a set's."""


def applied_fields(metadata: Mapping[str, Any]) -> Fields:
    """What our last server-side apply set and nobody has changed since."""
    for entry in metadata.get("managedFields") or ():
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
            fields: Fields = entry.get("fieldsV1") or {}
            return fields
    return {}


def owns(fields: Fields, wanted: Any) -> bool:
    """Whether everything in ``wanted``, the content of an object, is among the fields."""
    return bool(fields) and _owns(fields, wanted)


def _owns(fields: Fields, wanted: Any) -> bool:
    if not wanted or not fields:
        return True  # a single value, or a list or object that is owned as a whole
    if isinstance(wanted, Mapping):
        return all(f"f:{name}" in fields and _owns(fields[f"f:{name}"], value) for name, value in wanted.items())
    return all(_owns_item(fields, item) for item in wanted)


def _owns_item(fields: Fields, item: Any) -> bool:
    if not isinstance(item, Mapping):
        return f"v:{json.dumps(item)}" in fields
    return any(name.startswith("k:") and _is_of(name[2:], item) and _owns(fields[name], item) for name in fields)


def _is_of(key: str, item: Mapping[str, Any]) -> bool:
    """A key may hold a default that the item does not, such as a port's protocol."""
    return all(item.get(name, value) == value for name, value in json.loads(key).items())
