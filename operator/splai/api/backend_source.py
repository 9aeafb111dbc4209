"""Where a model's weights and its adapters come from, and what is needed to get them.

A source is one URL. The parts of ``hf://owner/name@revision/file`` are those of Hugging Face's own ``hf://`` URLs; what
stands behind the # of ``oci://`` is a path in the image. An adapter or a model that consists of several files is a
folder; ``LlamaCpp`` and ``Ollama`` load one file.
"""

from typing import Annotated, Literal, NamedTuple, cast

from pydantic import Field

from splai.api.base import APIModel, ObjectName, rules

Scheme = Literal["hf", "file", "pvc", "s3", "http", "https", "oci", "ollama"]

_HUB = "hf://[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+(@[A-Za-z0-9_.-]+)?"
_CLAIM = "pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
_BUCKET = "s3://[a-z0-9][-a-z0-9.]+/.+"
_IMAGE = "oci://[^/# ]+/[^# ]+"
_WEB = "https?://[^@ ]+"
_FOLDERS = f"{_HUB}|file:///.+|{_CLAIM}(/.+)?|{_BUCKET}|{_IMAGE}(#[^/].*)?"

SOURCE = f"^({_FOLDERS}|{_HUB}/.+|{_WEB}|ollama://[^ ]+)$"
"""A model: in any of the forms that some engine takes."""
FOLDER = f"^({_FOLDERS})$"
"""A folder, as all engines but LlamaCpp and Ollama load it."""
ADAPTER = f"^({_HUB}|file:///[^=,@]+|{_CLAIM}(/[^=,@]+)?|{_BUCKET}|{_IMAGE}(#[^/=,@][^=,@]*)?)$"
"""A folder whose path can stand in a list of names and paths."""
ONE_FILE = f"^({_HUB}/.+|file:///.+|{_CLAIM}/.+|s3://.*[^/]|{_WEB}|{_IMAGE}#[^/].*)$"
"""A file, as LlamaCpp and Ollama load it."""
DOWNLOADED = "^(hf|s3|https?)://"
"""What comes over the network, by SPLAI or by the engine; an image is the kubelet's business."""

SOURCE_FORMS = (
    "source must read hf://owner/name[@revision][/file], file:///path, pvc://claim/path, s3://bucket/prefix, "
    "http(s)://host/file, oci://registry/repository:tag[#path] or ollama://name:tag"
)

AdapterID = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._:/-]*[A-Za-z0-9])?$")]


class Source(NamedTuple):
    """A source's parts; what a scheme has no word for is empty."""

    scheme: Scheme
    place: str
    """owner/name, the claim, the bucket, the image's reference; of http(s) the whole URL."""
    path: str = ""
    """In that place, without a slash at its beginning; of ``file`` absolute."""
    revision: str | None = None


def parse_source(url: str) -> Source:
    """Take a source apart; that it has one of the forms is for the CRD's rules to see to."""
    name, _, rest = url.partition("://")
    scheme = cast("Scheme", name)
    match scheme:
        case "hf":
            owner, _, tail = rest.partition("/")
            repository, _, path = tail.partition("/")
            repository, _, revision = repository.partition("@")
            return Source(scheme, f"{owner}/{repository}", path, revision or None)
        case "file":
            return Source(scheme, "", rest)
        case "oci":
            return Source(scheme, *_cut(rest, "#"))
        case "ollama":
            return Source(scheme, rest)
        case "http" | "https":
            return Source(scheme, url)
        case _:
            return Source(scheme, *_cut(rest, "/"))


def _cut(text: str, separator: str) -> tuple[str, str]:
    before, _, after = text.partition(separator)
    return before, after


class ModelCache(APIModel):
    """A volume that all replicas share, so that weights are downloaded once."""

    claim_name: Annotated[
        ObjectName,
        Field(
            description="A PersistentVolumeClaim of the namespace; ReadWriteMany where replicas are on several nodes."
        ),
    ]


class Adapter(APIModel):
    """A LoRA adapter of the model, which clients ask for by an id of its own."""

    model_config = {
        "json_schema_extra": rules(
            (
                f"self.source.matches('{ADAPTER}')",
                "source of an adapter is a folder: hf://owner/name[@revision], file:///path, pvc://claim/path, "
                "s3://bucket/prefix or oci://registry/repository:tag[#path], with no = , or @ in the path",
            )
        )
    }

    id: Annotated[AdapterID, Field(description="The id that clients ask for.")]
    source: Annotated[
        str, Field(max_length=1024, description="The folder with adapter_config.json, in a form of model.source.")
    ]
