"""Structured logs: one JSON object a line on stdout. Messages are constant, facts are fields; contents never."""

import logging
import sys
import traceback
from typing import Final as Constant

from pythonjsonlogger.json import JsonFormatter

TALKATIVE: Constant = ("httpx", "aiohttp.access", "kopf.activities")
"""Loggers with a line at INFO for every request, every probe included: only what goes wrong is told."""


def configure_logging(component: str, *, level: str = "INFO") -> None:
    """Send the root logger to stdout as JSON; ``component`` names the process in every line."""
    if level.upper() not in logging.getLevelNamesMapping():
        sys.exit(f"SPLAI_LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR and CRITICAL, not {level!r}")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter(
            "{asctime}{levelname}{name}{message}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            datefmt="%Y-%m-%dT%H:%M:%S%z",
            static_fields={"component": component},
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def origin(error: BaseException) -> dict[str, str]:
    """The facts of an unexpected exception: what it is and where it comes from. Its words may hold contents."""
    return {"error": type(error).__name__, "traceback": "".join(traceback.format_tb(error.__traceback__))}
