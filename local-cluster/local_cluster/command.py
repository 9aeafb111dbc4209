"""Running other programs to their end, with their own words when they fail."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from local_cluster.errors import ClusterError
from local_cluster.progress import say


def run(
    *command: str | Path,
    text: str | None = None,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> str:
    """The standard output of a command that succeeded; `text` is its standard input."""
    words = [str(word) for word in command]
    try:
        finished = subprocess.run(
            words,
            input=text,
            stdin=None if text is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            cwd=directory,
            env=environment,
            timeout=seconds,
        )
    except FileNotFoundError:
        raise ClusterError(f"the command {words[0]} is missing") from None
    except subprocess.TimeoutExpired:
        raise ClusterError(f"{' '.join(words)} did not end within {seconds} s") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip()
        raise ClusterError(f"{' '.join(words)} failed with {error.returncode}:\n{said[-2000:]}") from None
    return finished.stdout


def with_one_retry(what: str, attempt: Callable[[], None]) -> None:
    """Try once more what failed: a download that breaks off passes, and all else fails again, in its own words."""
    try:
        attempt()
    except ClusterError as error:
        say(f"{what} failed and is tried once more, as downloads fail now and then: {error}")
        attempt()


def succeeds(*command: str | Path, seconds: float = 20) -> bool:
    """Whether a command exists, ends in time and ends well."""
    try:
        run(*command, seconds=seconds)
    except ClusterError:
        return False
    return True
