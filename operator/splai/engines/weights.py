"""Where an engine finds its weights and adapters: a name on the Hub, or a path, on which volume, and who puts it there.

- ``hf://owner/name``: the name and the revision; the engine downloads what it needs by itself.
- ``file://``: the path in its image.
- ``pvc://``: the claim, mounted read-only. ``oci://``: the image, mounted as a volume (KEP-4639).
- ``s3://``, ``http(s)://``, one file of ``hf://``, and an adapter from any of them: a folder that ``splai model fetch``
  fills in an init container, before the engine starts.

What is fetched lies in a folder named after its source, on the pod's own disk or on ``model.cache``. So replicas of
all backends that share a cache share it, and another source is another folder.
"""

import hashlib
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from splai.api.backend_source import Source, parse_source
from splai.api.model_backend import Model
from splai.api.storage import S3Endpoint
from splai.engines.mount import Mount

MODELS_PATH = "/models"
ADAPTERS_PATH = "/adapters"
FETCHED_PATH = "/fetched"
CACHE_PATH = "/model-cache"
FETCH_CONTAINER = "fetch-"
"""How the names of the init containers begin."""

_DIGITS = 16
_DOWNLOADED = frozenset({"hf", "s3", "http", "https"})


@dataclass(frozen=True)
class Fetch:
    """A source that has to be fetched into a folder before the engine starts."""

    name: str
    """Of the init container."""
    source: str
    folder: str
    file: str | None = None
    """What the one file is called there; None: the source is a folder itself."""
    sha256: str | None = None
    s3: S3Endpoint | None = None

    @property
    def arguments(self) -> list[str]:
        """Of ``splai``."""
        options = {
            "--file": self.file,
            "--sha256": self.sha256,
            "--s3-endpoint": self.s3 and self.s3.endpoint,
            "--s3-region": self.s3 and self.s3.region,
        }
        given = [part for option, value in options.items() if value for part in (option, value)]
        return ["model", "fetch", *given, self.source, self.folder]


@dataclass(frozen=True)
class Weights:
    """A source as the engine takes it."""

    location: str
    """A path, a name on the Hub, or nothing: the model that the image carries."""
    revision: str | None = None
    """Of a name on the Hub."""
    mounts: tuple[Mount, ...] = ()
    fetches: tuple[Fetch, ...] = ()

    @property
    def is_on_hub(self) -> bool:
        """Whether the engine downloads the model by itself."""
        return bool(self.location) and not self.location.startswith("/")


def model_weights(model: Model, *, one_file: bool = False) -> Weights:
    """The model's own; ``one_file`` where the engine loads a file and not a folder."""
    if model.source is None:
        return Weights("")
    source = parse_source(model.source)
    if source.scheme == "hf" and not source.path:
        return Weights(source.place, source.revision)
    mounted = _mounted(model.source, "models", MODELS_PATH)
    if mounted is not None:
        return mounted
    return _fetched(model, model.source, f"{FETCH_CONTAINER}model", file=_file_name(source) if one_file else None)


def adapter_weights(model: Model) -> dict[str, Weights]:
    """Where each adapter is, by its id: never a name on the Hub, for not every engine takes a revision there."""
    return {
        adapter.id: _mounted(adapter.source, f"adapter-{number}", f"{ADAPTERS_PATH}/{number}")
        or _fetched(model, adapter.source, f"{FETCH_CONTAINER}adapter-{number}")
        for number, adapter in enumerate(model.adapters)
    }


def engine_downloads(model: Model) -> bool:
    """Whether the engine gets the model by itself while it loads it: a repository of the Hub, or Ollama's library."""
    source = parse_source(model.source) if model.source else None
    return source is not None and (source.scheme == "ollama" or (source.scheme == "hf" and not source.path))


def on_own_disk(model: Model) -> bool:
    """Whether the model is downloaded onto the disk of the pod's node."""
    return model.source is not None and model.cache is None and parse_source(model.source).scheme in _DOWNLOADED


def cache_mount(model: Model) -> Mount | None:
    """The claim that downloads are kept on."""
    if model.cache is None:
        return None
    return Mount({"name": "model-cache", "persistentVolumeClaim": {"claimName": model.cache.claim_name}}, CACHE_PATH)


def _mounted(url: str, volume: str, path: str) -> Weights | None:
    """A source that is on a volume, or in the engine's image."""
    source = parse_source(url)
    match source.scheme:
        case "file":
            return Weights(source.path)
        case "pvc":
            kind = {"persistentVolumeClaim": {"claimName": source.place, "readOnly": True}}
        case "oci":
            kind = {"image": {"reference": source.place}}
        case _:
            return None
    location = f"{path}/{source.path}".rstrip("/")
    return Weights(location, mounts=(Mount({"name": volume, **kind}, path, read_only=True),))


def _fetched(model: Model, url: str, name: str, *, file: str | None = None) -> Weights:
    mount = cache_mount(model) or Mount({"name": "fetched", "emptyDir": {}}, FETCHED_PATH)
    s3 = model.s3 if url.startswith("s3://") else None
    sha256 = model.sha256 if url == model.source else None
    folder = f"{mount.path}/weights/{_digest(url, sha256, s3.endpoint if s3 else None)}"
    fetch = Fetch(name, url, folder, file, sha256, s3)
    return Weights(f"{folder}/{file}" if file else folder, mounts=(mount,), fetches=(fetch,))


def _digest(*parts: str | None) -> str:
    return hashlib.sha256("\n".join(part or "" for part in parts).encode()).hexdigest()[:_DIGITS]


def _file_name(source: Source) -> str:
    """As the source calls it, so that an engine knows the format, and a shard its siblings."""
    path = unquote(urlsplit(source.place).path) if source.scheme in ("http", "https") else source.path
    return path.rpartition("/")[2] or "model"
