"""Files of a PersistentVolumeClaim that is mounted read-only."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from splai.api.storage import VolumePath
from splai.inputs.errors import CHANGED, FORBIDDEN, NOT_FOUND, SourceUnavailable, SourceUnusable
from splai.inputs.source import BLOCK_BYTES, SourceFile, is_left_out


@dataclass(kw_only=True)
class VolumeFile(SourceFile):
    """One file; its version is its size and when it was changed."""

    location: Path

    def read(self) -> Iterator[bytes]:
        try:
            with self.location.open("rb", buffering=0) as file:
                while block := file.read(BLOCK_BYTES):
                    yield block
        except OSError as error:
            raise _explained(error, self.uri) from error

    def verify(self) -> None:
        try:
            now = _version(self.location.stat())
        except OSError:
            now = None
        if now != self.etag:
            raise SourceUnusable(CHANGED, f"{self.uri} changed while it was read")


def volume_files(source: VolumePath, root: Path) -> list[VolumeFile]:
    """The file at the path, or all files of the directory there in the order of their names.

    A path that leaves the volume through a link is refused: what is beside it in the pod is not the user's.
    """
    uri = f"pvc://{source.claim_name}/{source.path.rstrip('/')}"
    path = root / source.path
    try:
        if not path.is_dir():
            return [_file(uri, path, root)]
        _require_inside(uri, path, root)
        names = sorted(entry.name for entry in path.iterdir() if not is_left_out(entry.name))
        files = [_file(f"{uri}/{name}", path / name, root) for name in names if not (path / name).is_dir()]
    except OSError as error:
        raise _explained(error, uri) from error
    if not files:
        raise SourceUnusable(NOT_FOUND, f"{uri} is a directory without files")
    return files


def _file(uri: str, path: Path, root: Path) -> VolumeFile:
    _require_inside(uri, path, root)
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise SourceUnusable(FORBIDDEN, f"{uri} is not a regular file")
    return VolumeFile(uri=uri, name=path.name, etag=_version(status), path=path, location=path)


def _require_inside(uri: str, path: Path, root: Path) -> None:
    if not path.resolve(strict=True).is_relative_to(root.resolve()):
        raise SourceUnusable(FORBIDDEN, f"{uri} leaves the volume")


def _version(status: os.stat_result) -> str:
    return f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"


def _explained(error: OSError, uri: str) -> SourceUnavailable | SourceUnusable:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return SourceUnusable(NOT_FOUND, f"{uri} does not exist")
    if isinstance(error, PermissionError):
        return SourceUnusable(FORBIDDEN, f"{uri} may not be read by the user of the pod, {os.getuid()}")
    return SourceUnavailable(f"{uri} cannot be read: {error.strerror}")
