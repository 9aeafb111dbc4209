"""Filling a folder so that it is there only when all of it is.

::

    <folder>.lock        held by the one process that fetches
    <folder>.partial/    files as they come, and .fetched.json: which of them are whole, and in which version
    <folder>/            the same, renamed

Many pods may do so at once on a shared volume. Where its file system has locks, one fetches, the others wait and find
the folder, and what a killed one left is gone on with. Where it has none, each has a partial folder of its own; the
first to rename wins, and what a killed one left stays until somebody removes it.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from splai.inputs.errors import CHANGED, SourceUnusable
from splai.weights.progress import Progress
from splai.weights.remote import RemoteFile

RECORD: Final = ".fetched.json"
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL})


def fill(folder: Path, listing: Callable[[], Sequence[RemoteFile]], progress: Progress, *, owner: str) -> int:
    """Fetch what ``listing`` gives into ``folder`` unless it is there; how many bytes were fetched.

    ``owner`` is what no other process is called. Raises what the sources raise, and OSError of the volume.
    """
    if folder.exists():
        return 0
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder.with_name(f"{folder.name}.lock")) as alone:
        if folder.exists():
            return 0
        partial = folder.with_name(f"{folder.name}.partial" if alone else f"{folder.name}.{owner}.partial")
        size = _fetch(partial, listing(), progress)
        _publish(partial, folder)
        return size


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Whether the file system has locks; if so, no other process is in here."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            yield False
            return
        yield True


def _fetch(partial: Path, files: Sequence[RemoteFile], progress: Progress) -> int:
    sizes = [remote.size for remote in files if remote.size is not None]
    progress.begin(sum(sizes) if len(sizes) == len(files) else None)
    partial.mkdir(exist_ok=True)
    record = _read_record(partial)
    _drop_others(partial, files)
    size = 0
    for remote in files:
        target = partial / remote.path
        if _is_whole(target, remote, record):
            progress.add(target.stat().st_size)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        size += _write(target, remote, progress)
        if remote.version is not None:
            record[remote.path] = remote.version
            _write_record(partial, record)
    return size


def _write(target: Path, remote: RemoteFile, progress: Progress) -> int:
    """The file, or nothing under its name."""
    digest = hashlib.sha256()
    coming = target.with_name(f"{target.name}.part")
    with coming.open("wb") as file:
        for block in remote.file.read():
            digest.update(block)
            file.write(block)
            progress.add(len(block))
        size = file.tell()
        file.flush()
        os.fsync(file.fileno())
    if remote.size is not None and size != remote.size:
        raise SourceUnusable(CHANGED, f"{remote.file.uri} has {size} bytes and not {remote.size}")
    if remote.sha256 is not None and digest.hexdigest() != remote.sha256:
        raise SourceUnusable(CHANGED, f"{remote.file.uri} has the sha256 {digest.hexdigest()} and not {remote.sha256}")
    coming.rename(target)
    return size


def _is_whole(target: Path, remote: RemoteFile, record: dict[str, str]) -> bool:
    if remote.version is None or record.get(remote.path) != remote.version:
        return False
    return target.is_file() and (remote.size is None or target.stat().st_size == remote.size)


def _drop_others(partial: Path, files: Sequence[RemoteFile]) -> None:
    """What an earlier version of the source had, or a killed process has begun."""
    wanted = {partial / remote.path for remote in files} | {partial / RECORD}
    for found in list(partial.rglob("*")):
        if not found.is_dir() and found not in wanted:
            found.unlink()


def _publish(partial: Path, folder: Path) -> None:
    (partial / RECORD).unlink(missing_ok=True)
    try:
        partial.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        shutil.rmtree(partial)  # another one was quicker
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    """A rename lasts once its folder is written."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_record(partial: Path) -> dict[str, str]:
    try:
        found = json.loads((partial / RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return {str(path): str(version) for path, version in found.items()} if isinstance(found, dict) else {}


def _write_record(partial: Path, record: dict[str, str]) -> None:
    coming = partial / f"{RECORD}.part"
    coming.write_text(json.dumps(record))
    coming.rename(partial / RECORD)
