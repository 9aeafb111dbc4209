"""URLs of users as they may be shown: in a status, a log or the history."""

import re

_QUERY_OR_FRAGMENT = re.compile("[?#]")


def plain_url(url: str) -> str:
    """The URL without credentials, query and fragment; of any text, because not all that a spec may hold is a URL."""
    scheme, separator, rest = _QUERY_OR_FRAGMENT.split(url, maxsplit=1)[0].partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"
