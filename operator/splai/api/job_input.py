"""Where an InferenceJob's records come from."""

from typing import Annotated, Any, Literal

from pydantic import Field

from splai.api.base import APIModel, ObjectName, rules
from splai.api.pod_template import LocalObjectReference
from splai.api.storage import S3Access, VolumePath

InputFormat = Literal["auto", "jsonl", "openai-batch", "csv", "parquet", "text"]


class ConfigMapInput(APIModel):
    """One key of a ConfigMap of the same namespace."""

    name: Annotated[ObjectName, Field(description="Name of the ConfigMap.")]
    key: Annotated[
        str,
        Field(
            min_length=1,
            max_length=253,
            description="Key of the ConfigMap whose value holds the records; in binaryData it may be compressed.",
        ),
    ]


class S3Input(S3Access):
    """An object, or all objects below a prefix in the order of their names, of any S3 API."""

    uri: Annotated[
        str,
        Field(
            pattern=r"^s3://[a-z0-9][-a-z0-9.]+/.+$",
            max_length=1200,
            description="s3://bucket/key, or s3://bucket/prefix/ with a slash at its end.",
        ),
    ]


class HTTPInput(APIModel):
    """A file behind a URL."""

    url: Annotated[str, Field(pattern=r"^https?://[^@\s]+$", max_length=2048)]
    sha256: Annotated[
        str | None, Field(pattern=r"^[0-9a-f]{64}$", description="Digest of the file as it is served, in hex digits.")
    ] = None
    secret_ref: Annotated[
        LocalObjectReference | None,
        Field(description="A Secret whose key AUTHORIZATION holds that header's value, e.g. Bearer …"),
    ] = None


class HuggingFaceInput(APIModel):
    """A split of a dataset of the Hugging Face Hub, read from its Parquet files."""

    dataset: Annotated[
        str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$", max_length=200, description="The dataset as namespace/name.")
    ]
    config: Annotated[str, Field(pattern=r"^[\w.-]+$", max_length=200, description="Subset.")] = "default"
    split: Annotated[str, Field(pattern=r"^[\w.-]+$", max_length=200)] = "train"
    revision: Annotated[
        str | None,
        Field(
            pattern=r"^[\w./-]+$",
            max_length=200,
            description="Branch, tag or commit whose own Parquet files are read; without it the Hub's converted ones.",
        ),
    ] = None
    endpoint: Annotated[
        str, Field(pattern=r"^https?://[^/?#@]+$", max_length=256, description="URL of the Hub or a mirror.")
    ] = "https://huggingface.co"
    secret_ref: Annotated[
        LocalObjectReference | None, Field(description="A Secret whose key HF_TOKEN holds an access token.")
    ] = None


class FailedOf(APIModel):
    """The records of an earlier job of the same namespace that have no answer."""

    name: Annotated[ObjectName, Field(description="Name of an InferenceJob that is Completed, Failed or Canceled.")]


_SOURCES = ("text", "items", "configMap", "persistentVolumeClaim", "s3", "http", "huggingFace", "failedOf")
# What is there beside format, which has a default, and limit. Counting accesses one field, has() of each would nine;
# dyn(): the rule's type checker knows no size of an object, but at run time it is there.
_SOURCES_GIVEN = "dyn(self).size() - (has(self.limit) ? 2 : 1)"


class Input(APIModel):
    """Where the records come from: exactly one source."""

    model_config = {
        "json_schema_extra": rules(
            (f"{_SOURCES_GIVEN} == 1", f"set exactly one of {', '.join(_SOURCES)}"),
        )
    }

    text: Annotated[str | None, Field(max_length=65536, description="One record: its field `text`.")] = None
    items: Annotated[
        list[Any] | None,
        Field(
            max_length=10000,
            description="Records: objects, or strings that become the field `text`. At most 64 KiB as JSON.",
            json_schema_extra={"items": {"x-kubernetes-preserve-unknown-fields": True}},
        ),
    ] = None
    config_map: ConfigMapInput | None = None
    persistent_volume_claim: VolumePath | None = None
    s3: S3Input | None = None
    http: HTTPInput | None = None
    hugging_face: HuggingFaceInput | None = None
    failed_of: FailedOf | None = None
    format: Annotated[
        InputFormat,
        Field(
            description=(
                "jsonl: a JSON object a line. openai-batch: lines of the OpenAI Batch input file. csv: the first row "
                "names the fields. text: each line is a record's field `text`. gzip and zstd are recognised by their "
                "first bytes. auto: by the name's ending and the first bytes; of JSON lines, openai-batch when the "
                "first record has custom_id and body."
            )
        ),
    ] = "auto"
    limit: Annotated[int | None, Field(ge=1, description="Only so many records, the first ones: for a trial.")] = None

    @property
    def is_read_by_operator(self) -> bool:
        """Small inputs that the apiserver holds; all others are read by a planning pod."""
        return self.text is not None or self.items is not None or self.config_map is not None
