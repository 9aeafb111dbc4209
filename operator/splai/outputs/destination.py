"""A place for finished files as whoever writes them sees it, and the ways in which it can fail."""

from collections.abc import AsyncIterator, Callable
from typing import Literal, Protocol

Produce = Callable[[], AsyncIterator[bytes]]
"""The bytes of a file; called again for every try."""

Reason = Literal["OutputForbidden", "OutputNotFound", "OutputFull", "OutputUnavailable", "OutputInvalid"]


class OutputProblem(Exception):
    """The files cannot be written; the words name the place and what is wrong there, never a credential."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    @property
    def may_pass(self) -> bool:
        """Whether another try can succeed although nobody changes the job."""
        return self.reason != "OutputInvalid"


class Destination(Protocol):
    """A folder for the two files."""

    async def write(self, name: str, produce: Produce) -> None:
        """Write or overwrite a file: whole, or not at all when this raises OutputProblem or ``produce`` fails."""

    async def remove(self, name: str) -> None:
        """Remove a file that an earlier job of the same name left; that there is none is success."""
