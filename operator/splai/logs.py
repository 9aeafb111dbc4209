"""Structured logs: one JSON object a line on stdout. Messages are constant, facts are fields; contents never."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter


def configure_logging(component: str, *, level: str = "INFO") -> None:
    """Send the root logger to stdout as JSON; ``component`` names the process in every line."""
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
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells every request with its path at INFO
