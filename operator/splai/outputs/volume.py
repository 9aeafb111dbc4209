"""A folder on a mounted volume.

A file grows under another name and takes its own when it is on the disk, so it is seen whole or not at all, whatever
happens to the node meanwhile.
"""

import asyncio
import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final

from splai.api.pod_contract import POD_USER
from splai.outputs.destination import OutputProblem, Produce, Reason

_REASONS: Final[dict[int | None, tuple[Reason, str]]] = {
    errno.EACCES: ("OutputForbidden", f"the volume does not let user {POD_USER} write here"),
    errno.EPERM: ("OutputForbidden", f"the volume does not let user {POD_USER} write here"),
    errno.EROFS: ("OutputForbidden", "the volume is read-only"),
    errno.ENOSPC: ("OutputFull", "the volume is full"),
    errno.EDQUOT: ("OutputFull", "the quota of the volume is used up"),
    errno.ENOENT: ("OutputNotFound", "the volume is not mounted"),
    errno.ENOTDIR: ("OutputInvalid", "a file stands where a folder is to be"),
    errno.EEXIST: ("OutputInvalid", "a file stands where a folder is to be"),
    errno.EISDIR: ("OutputInvalid", "a folder stands where a file is to be"),
}


class VolumeFolder:
    """Files in a directory, which is made when it is missing; ``mount`` must be there."""

    def __init__(self, mount: Path, folder: Path, place: str) -> None:
        self._mount = mount
        self._folder = folder
        self._place = place

    async def write(self, name: str, produce: Produce) -> None:
        growing = self._folder / f".{name}.{secrets.token_hex(8)}"
        with self._explained():
            await asyncio.to_thread(self._prepare, name)
            file = await asyncio.to_thread(_open, growing)
        try:
            async for chunk in produce():
                with self._explained():
                    await asyncio.to_thread(_write, file, chunk)
            with self._explained():
                await asyncio.to_thread(self._keep, file, growing, self._folder / name)
        except BaseException:
            with suppress(OSError):  # what went wrong first is what counts
                file.close()
            with suppress(OSError):
                growing.unlink(missing_ok=True)
            raise

    async def remove(self, name: str) -> None:
        with self._explained():
            await asyncio.to_thread((self._folder / name).unlink, missing_ok=True)

    def _prepare(self, name: str) -> None:
        if not self._mount.is_dir():
            raise FileNotFoundError(errno.ENOENT, "no mount")
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.glob(f".{name}.*"):
            left.unlink(missing_ok=True)  # by a pod that was killed, and this one needs the room

    def _keep(self, file: FileIO, growing: Path, name: Path) -> None:
        os.fsync(file.fileno())
        file.close()
        growing.replace(name)
        directory = os.open(name.parent, os.O_RDONLY)
        try:
            os.fsync(directory)  # or the name could be lost
        finally:
            os.close(directory)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason, words = _REASONS.get(error.errno, ("OutputUnavailable", f"the volume failed: {error.strerror}"))
            raise OutputProblem(reason, f"{self._place}: {words}") from None


def _open(path: Path) -> FileIO:
    """Without a buffer: what a full disk did not take would be written once more by ``close``."""
    return path.open("xb", buffering=0)


def _write(file: FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
