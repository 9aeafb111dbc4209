"""What one caller may take of the server: bytes, time and connections."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, times in seconds; deadlines are looked at once a second at most, so they are met coarsely."""

    header_bytes: int = 64 * 1024
    """Of a request's head, and of what a chunked body has besides its data."""
    header_count: int = 128
    body_bytes: int = 64 * 1024 * 1024
    header_seconds: float = 10.0
    """For a whole head, from its first byte; for the first one from connecting."""
    body_stall_seconds: float = 30.0
    """Without a byte of a body that is waited for."""
    body_bytes_per_second: float = 4096.0
    """What a body must come with on average once the first ``body_stall_seconds`` are over."""
    idle_seconds: float = 75.0
    """Between a reply and the next request."""
    write_stall_seconds: float = 60.0
    """Without the caller taking a byte of what waits for it."""
    max_connections: int = 10_000
