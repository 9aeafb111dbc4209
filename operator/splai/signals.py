"""The signals by which Kubernetes, or somebody at a terminal, asks a process to end."""

import asyncio
import signal


def told_to_stop() -> asyncio.Event:
    """Is set by SIGTERM or SIGINT, which end nothing by themselves any more."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
