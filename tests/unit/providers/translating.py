"""One request, translated for a provider."""

from typing import Any

from splai.api.backend_remote import Provider as ProviderName
from splai.providers.protocol import CHAT, Identity
from splai.providers.selection import provider

IDENTITY = Identity("chatcmpl-1", 1, "asked-for")
USER: dict[str, Any] = {"role": "user", "content": "Hi"}


def translated(name: ProviderName, api: str = CHAT, **fields: Any) -> Any:
    """What the provider is sent for a chat that says Hi, or for what ``messages`` says."""
    document = {"model": "asked-for", **({"messages": [USER]} if api == CHAT else {}), **fields}
    return provider(name, model="theirs").exchange(api, document, IDENTITY).body
