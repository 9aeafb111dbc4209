"""What a gateway tells the operator about its requests: the body of ``GET /internal/load`` on its metrics port."""

from typing import Annotated

from pydantic import Field

from splai.api.base import APIModel

LOAD_PATH = "/internal/load"


class BackendLoad(APIModel):
    """The requests for one ModelBackend."""

    namespace: str
    backend: str
    in_flight: Annotated[int, Field(ge=0)]
    """The most at a time at its pods within the last seconds: one that is short is no less a sign of use."""
    held: Annotated[int, Field(ge=0)]
    """Waiting at the gateway now, for a first pod or for a turn."""


class GatewayLoad(APIModel):
    """One replica of the gateway, and the backends of which anything is asked there."""

    replica: str
    models: list[BackendLoad] = []
