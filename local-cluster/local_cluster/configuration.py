"""Configuration files from the templates in `configuration/`.

The name of a rendered file carries a digest of its content: a component whose configuration has changed has another
command line, and a changed command line is what makes `Process.start` start it anew.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Mapping
from pathlib import Path

from local_cluster import paths
from local_cluster.errors import ClusterError


def render(template: str, values: Mapping[str, object]) -> str:
    """A template with its `$names` filled in."""
    text = (paths.CONFIGURATION / template).read_text()
    try:
        return string.Template(text).substitute(values)
    except KeyError as error:
        raise ClusterError(f"configuration/{template} asks for {error}, which nobody gives") from None


def write(template: str, values: Mapping[str, object], directory: Path) -> Path:
    """Render a template into a folder; older renderings of it are removed."""
    content = render(template, values)
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    source = Path(template)
    path = directory / f"{source.stem}-{digest}{source.suffix}"
    directory.mkdir(parents=True, exist_ok=True)
    for older in directory.glob(f"{source.stem}-????????{source.suffix}"):
        if older != path:
            older.unlink()
    if not path.exists():  # else it holds this very content, and kube-proxy ends when its file is written again
        path.write_text(content)
    return path
