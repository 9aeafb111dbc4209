"""The last lines of an engine that ended before it answered, as a condition may hold them.

The kubelet puts the end of a failed container's log into the pod's status (terminationMessagePolicy
FallbackToLogsOnError, core/v1): at most 2048 bytes. Nobody has sent such an engine a request, so no prompt is in it;
its arguments and addresses may be, so what looks like a credential is blotted out.
"""

import re

LINES = 3
CHARACTERS = 400

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_NAMES = "api[-_]?key|token|password|passwd|secret|credentials?"
_SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic) +\S+"), r"\1 ***"),
    (re.compile(rf"(?i)((?:{_NAMES})['\"]?\s*[=:]\s*['\"]?)[^\s'\",]+"), r"\1***"),
    (re.compile(rf"(?i)(--(?:[a-z]+-)*(?:{_NAMES})\s+)\S+"), r"\1***"),
    (re.compile(r"\b(hf|sk|gsk|ghp|xox[abp])[-_][A-Za-z0-9_-]{8,}"), "***"),
    (re.compile(r"\bAKIA[0-9A-Z]{12,}"), "***"),
    (re.compile(r"(?<=://)[^\s/@]+@"), "***@"),
    (re.compile(r"(https?://[^\s?]+)\?\S+"), r"\1?***"),
)


def last_words(message: str) -> str:
    """The last lines that say something, on one line; of a long one the end."""
    lines = [line for raw in _COLOURS.sub("", message).splitlines() if (line := _printable(raw))]
    text = " | ".join(lines[-LINES:])
    for pattern, blot in _SECRETS:
        text = pattern.sub(blot, text)
    return text if len(text) <= CHARACTERS else f"…{text[1 - CHARACTERS :]}"


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else " " for character in line).strip()
