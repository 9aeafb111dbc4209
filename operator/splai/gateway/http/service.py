"""What the connections of one server share."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from splai.gateway.http.exchange import Handler
from splai.gateway.http.limits import Limits

if TYPE_CHECKING:
    from splai.gateway.http.server_connection import ServerConnection


@dataclass
class Service:
    """Made by the server, read by its connections."""

    handler: Handler
    limits: Limits
    error_body: Callable[[int, str], bytes]
    lines: bytes = b""
    """Header lines of every reply."""
    draining: bool = False
    connections: set["ServerConnection"] = field(default_factory=set)
    """Those that are open, or whose handler has not ended."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever one of them has ended."""

    def forget(self, connection: "ServerConnection") -> None:
        self.connections.discard(connection)
        self.changed.set()
