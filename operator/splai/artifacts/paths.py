"""Which paths an object may have: a short list of safe characters, so that nothing needs to be escaped or resolved.

A segment starts with a letter or a digit. So ``..``, hidden files and the server's own ``_server`` folder cannot be
named, nor can a store's temporary files, whose names hold a ``#``.
"""

import re
from typing import Final as Constant

MAX_DEPTH: Constant = 6
RESERVED: Constant = ("progress", "idle")  # what is said about the folder is served under these names
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_UID = re.compile(r"[A-Za-z0-9][-A-Za-z0-9]{0,62}")
_SEGMENT = re.compile(r"[A-Za-z0-9][-._A-Za-z0-9]{0,199}")
_PREFIX = re.compile(r"([A-Za-z0-9][-._A-Za-z0-9]{0,199}/?)*")


def folder_problem(namespace: str, uid: str) -> str | None:
    """What is wrong with the folder's name, if anything."""
    if not _NAMESPACE.fullmatch(namespace):
        return "the first segment of the path is not a namespace"
    if not _UID.fullmatch(uid):
        return "the second segment of the path is not a uid"
    return None


def object_problem(path: str) -> str | None:
    """What is wrong with the path of an object below its folder, if anything."""
    segments = path.split("/")
    if len(segments) > MAX_DEPTH:
        return f"the path is deeper than {MAX_DEPTH} segments"
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        return "a segment starts with a letter or digit and holds at most 200 of A-Z a-z 0-9 . _ -"
    if path in RESERVED:
        return f"{path!r} is not an object"
    return None


def prefix_problem(prefix: str) -> str | None:
    """What is wrong with the prefix of a list, if anything."""
    return None if len(prefix) <= 1024 and _PREFIX.fullmatch(prefix) else "the prefix is not the start of a path"
