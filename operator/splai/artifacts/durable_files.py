"""Files that are on the disk when they are seen, for a store that is a directory.

obstore renames or links a file that the kernel may not have written yet: after a power cut its name can be there with
nothing in it, and an empty commit is worse than none. So what decides something is written and synchronised under
another name first. Synchronising the directory afterwards makes the name durable, and on journaling file systems all
that was done before, such as making the directory.
"""

import os
import secrets
from pathlib import Path


def create(path: Path, data: bytes) -> bool:
    """Write a file that must not exist; False if it does. Raises OSError, and then there is none."""
    if path.exists():
        return False
    staging = _write(path, data)
    try:
        os.link(staging, path)
    except FileExistsError:
        return False
    finally:
        staging.unlink()
    _sync(path.parent)
    return True


def replace(path: Path, data: bytes) -> None:
    """Write or overwrite a file. Raises OSError."""
    _write(path, data).replace(path)
    _sync(path.parent)


def keep(path: Path) -> None:
    """Have a file that was written by somebody else on the disk. Raises OSError."""
    _sync(path)
    _sync(path.parent)


def _write(path: Path, data: bytes) -> Path:
    staging = path.with_name(f"{path.name}#{secrets.randbelow(10**18)}")  # a name that obstore takes for no object
    try:
        try:
            file = staging.open("xb")
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = staging.open("xb")
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        staging.unlink(missing_ok=True)
        raise
    return staging


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
