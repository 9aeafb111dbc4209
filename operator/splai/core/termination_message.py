"""What a container of SPLAI's own leaves for the kubelet when it ends: ``{"reason": …, "message": …}``."""

import json
import re

_REASON = re.compile(r"[A-Z][A-Za-z0-9]{0,63}")


def reason_or(text: str, default: str) -> str:
    """The text if it can be the reason of a condition."""
    return text if _REASON.fullmatch(text) else default


def own_words(text: str) -> tuple[str, str]:
    """The reason and message in a termination message; both empty where its words are not SPLAI's."""
    try:
        report = json.loads(text)
    except ValueError:
        return "", ""
    if not isinstance(report, dict):
        return "", ""
    return reason_or(str(report.get("reason") or ""), ""), str(report.get("message") or "")[:1024]
