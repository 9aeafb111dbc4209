"""The pip settings of this machine, for image builds: an index, a proxy or a certificate of its own.

They reach a build as secrets, files that exist while one RUN line runs: a company's index (which may carry a
password) and its certificate are in no layer, no history and no cache key.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

CERTIFICATES_IN_BUILD = "/run/certificates.pem"

# What only means something on this machine, or is said on the command line of the build.
_LEFT_OUT = frozenset({"cert", "cache-dir", "require-hashes", "require-virtualenv", "user", "target", "prefix"})


def collect(environment: Mapping[str, str], files: list[Path]) -> tuple[dict[str, str], Path | None]:
    """The settings and the file of certificates; the environment wins over files, a later file over an earlier."""
    settings: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser()
        parser.read(file)
        for section in ("global", "install"):
            if parser.has_section(section):
                settings |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    for variable, value in environment.items():
        if variable.startswith("PIP_") and variable != "PIP_CONFIG_FILE" and value:
            settings[variable.removeprefix("PIP_").lower().replace("_", "-")] = value
    links = [link for link in settings.pop("find-links", "").split() if "://" in link]  # a folder is not in the build
    if links:
        settings["find-links"] = " ".join(links)
    certificates = settings.get("cert") or environment.get("SSL_CERT_FILE")
    kept = {name: value for name, value in settings.items() if name not in _LEFT_OUT}
    path = Path(certificates) if certificates else None
    return kept, path if path is not None and path.is_file() else None


@contextmanager
def secrets() -> Iterator[dict[str, Path]]:
    """Secret id → file, for the duration of one build."""
    environment = dict(os.environ)
    settings, certificates = collect(environment, _files(environment))
    if certificates is not None:
        settings["cert"] = CERTIFICATES_IN_BUILD
    with TemporaryDirectory(prefix="pip-settings-") as directory:
        configuration = Path(directory) / "pip.conf"
        lines = "".join(f"{name} = {value.replace(chr(10), chr(10) + '  ')}\n" for name, value in settings.items())
        configuration.write_text(f"[global]\n{lines}")
        given = {"pip": configuration}
        yield given if certificates is None else given | {"certificates": certificates}


def _files(environment: Mapping[str, str]) -> list[Path]:
    home = Path.home()
    files = [Path("/etc/pip.conf"), home / ".pip" / "pip.conf", home / ".config" / "pip" / "pip.conf"]
    if named := environment.get("PIP_CONFIG_FILE"):
        files.append(Path(named))
    return files
