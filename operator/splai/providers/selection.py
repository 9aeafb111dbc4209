"""The translation that a backend's ``remote`` asks for."""

from splai.api.backend_remote import Provider as ProviderName
from splai.providers.anthropic import Anthropic
from splai.providers.gemini import Gemini
from splai.providers.openai import AzureOpenAI, OpenAI, OpenAIItself
from splai.providers.protocol import Provider


def provider(
    name: ProviderName,
    *,
    model: str,
    base_url: str | None = None,
    deployment: str | None = None,
    api_version: str | None = None,
) -> Provider:
    """``model`` is the provider's own id; raises ValueError for what the CRD's rules refuse."""
    if name == "OpenAI":
        return OpenAIItself(model, base_url)
    if name == "Anthropic":
        return Anthropic(model, base_url)
    if name == "Gemini":
        return Gemini(model, base_url)
    if base_url is None:
        raise ValueError(f"provider {name} needs a base URL")
    if name == "OpenAICompatible":
        return OpenAI("The provider", model, base_url)
    if deployment is None:
        raise ValueError("provider AzureOpenAI needs a deployment")
    return AzureOpenAI(deployment, base_url, api_version)
