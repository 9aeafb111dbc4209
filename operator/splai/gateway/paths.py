"""Where the APIs are that end at an engine; the relay serves them, and the endpoints tell of them."""

from typing import Final

PREFIXES: Final = ("/v1", "/v1/openai")
"""The second one is where an SDK ends up that adds `openai` to the address of the native API."""

EMBEDDINGS: Final = "/v1/embeddings"
RESPONSES: Final = "/v1/responses"
APIS: Final = ("/v1/chat/completions", "/v1/completions", EMBEDDINGS, RESPONSES)
"""As engines have them."""

HOT_PATHS: Final = tuple(api.removeprefix("/v1") for api in APIS)
"""Below each prefix."""
