"""A provider outside the cluster that serves the model of a ModelBackend of engine type Remote."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from splai.api.base import APIModel, ObjectName, rules

Provider = Literal["OpenAI", "Anthropic", "Gemini", "AzureOpenAI", "OpenAICompatible"]
PROVIDERS: tuple[Provider, ...] = get_args(Provider)


class SecretKey(APIModel):
    """A key of a Secret of the same namespace, which the kubelet mounts and SPLAI's operator never reads."""

    name: Annotated[ObjectName, Field(description="Name of the Secret.")]
    key: Annotated[
        str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$", description="Key of the Secret.")
    ]


class Remote(APIModel):
    """Which provider is called, where, as whom and for what."""

    model_config = {
        "json_schema_extra": rules(
            (
                "has(self.baseURL) || !(self.provider in ['AzureOpenAI', 'OpenAICompatible'])",
                "providers AzureOpenAI and OpenAICompatible need baseURL: they have no address of their own",
            ),
            (
                "has(self.apiKeySecretRef) || self.provider == 'OpenAICompatible'",
                "apiKeySecretRef may be left out with provider OpenAICompatible alone",
            ),
            (
                "(self.provider == 'AzureOpenAI') == has(self.deployment)",
                "deployment belongs to provider AzureOpenAI, which needs it",
            ),
            (
                "!has(self.apiVersion) || self.provider == 'AzureOpenAI'",
                "apiVersion belongs to provider AzureOpenAI",
            ),
            (
                "!has(self.model) || self.provider != 'AzureOpenAI'",
                "model does not go with provider AzureOpenAI: the deployment names the model",
            ),
        )
    }

    provider: Annotated[
        Provider, Field(description="Whose API is spoken; OpenAICompatible is any server with OpenAI's.")
    ]
    base_url: Annotated[
        str | None,
        Field(
            alias="baseURL",
            pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$",
            max_length=512,
            description=(
                "URL of the API, as the provider's own clients take it; without a path the provider's usual one is "
                "meant, e.g. /v1. Default: the provider's own, where it has one."
            ),
        ),
    ] = None
    api_key_secret_ref: Annotated[
        SecretKey | None,
        Field(
            alias="apiKeySecretRef",
            description="The provider's key. A changed Secret is used without a restart, within about a minute.",
        ),
    ] = None
    model: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=253,
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$",
            description="The provider's own id of the model, where it differs from model.id.",
        ),
    ] = None
    deployment: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
            description="AzureOpenAI: name of the deployment.",
        ),
    ] = None
    api_version: Annotated[
        str | None,
        Field(
            pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?$",
            description="AzureOpenAI: a dated API version such as 2024-10-21. Left out: Azure's v1 API.",
        ),
    ] = None
