"""The two ways in which a source fails its reader."""

from typing import Final, Literal

Reason = Literal["InputNotFound", "InputForbidden", "InputChanged"]
NOT_FOUND: Final = "InputNotFound"
FORBIDDEN: Final = "InputForbidden"
CHANGED: Final = "InputChanged"


class SourceUnavailable(Exception):
    """No bytes now: another try may get them. The words name the source and never quote contents.

    ``retry_after`` is in seconds; without ``passes`` only a reading from the beginning can go well.
    """

    def __init__(self, message: str, *, retry_after: float = 0.0, passes: bool = True) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.passes = passes


class SourceUnusable(Exception):
    """The source is not what the job's spec says: another try meets the same."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason
