"""The one exception of this package: its message is meant for the person at the terminal."""

from __future__ import annotations


class ClusterError(Exception):
    """Something that the person who typed the command has to know; printed without a traceback."""
