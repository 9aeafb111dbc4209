"""The signals by which Kubernetes, or somebody at a terminal, asks a process to end."""

import asyncio
import signal


def told_to_stop() -> asyncio.Event:
    """Is set by SIGTERM or SIGINT, which end nothing by themselves any more."""
    stop = asyncio.Event()
    stop_on_signals(stop)
    return stop


def stop_on_signals(stop: asyncio.Event) -> None:
    """Have SIGTERM and SIGINT set ``stop``, whoever had taken them before."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
