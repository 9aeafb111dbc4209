"""A volume of a few megabytes that a test can fill up."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local_cluster import command


class SmallVolume:
    """A mounted tmpfs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ballast = root / "ballast"  # beside the namespaces' folders, where no request can name it

    def fill(self, *, leave: int = 0) -> None:
        """Take all room but ``leave`` bytes, also while others write: it looks again until nothing is left."""
        with self._ballast.open("ab") as ballast:
            while (room := self._room() - leave) > 0:
                try:
                    os.posix_fallocate(ballast.fileno(), ballast.seek(0, os.SEEK_END), room)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def _room(self) -> int:
        """Bytes that can still be written."""
        space = os.statvfs(self.root)
        return space.f_bavail * space.f_frsize

    def empty(self) -> None:
        """Give the room back."""
        self._ballast.unlink()

    def files(self) -> list[str]:
        """What lies under the namespaces."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.glob("team-*/**/*") if path.is_file())


@contextmanager
def small_volume(directory: Path, *, mebibytes: int) -> Iterator[SmallVolume]:
    """A tmpfs mounted on a new directory."""
    if os.geteuid() != 0:
        pytest.fail("a tmpfs of its own needs root: run the integration tests as root", pytrace=False)
    root = directory / "volume"
    root.mkdir()
    command.run("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", root)
    try:
        yield SmallVolume(root)
    finally:
        command.run("umount", "--lazy", root)
