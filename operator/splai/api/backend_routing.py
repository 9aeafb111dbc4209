"""How requests find a ModelBackend: which of them the gateway sends to it, and which namespaces' jobs may use it."""

from typing import Annotated, Literal

from pydantic import Field

from splai.api.base import APIModel, Duration, ObjectName, rules

Strategy = Literal["LeastLoad", "PrefixHash"]
Capability = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9_.]*[a-z0-9])?$")]
NamespaceName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]

_A_SET = {"x-kubernetes-list-type": "set"}


class ResponseCache(APIModel):
    """Whole answers that are given again to the same request; none are kept unless this is set."""

    model_config = {
        "json_schema_extra": rules(
            (
                "duration(self.ttl) > duration('0s') && duration(self.ttl) <= duration('720h')",
                "ttl must be more than 0s and at most 720h",
            )
        )
    }

    ttl: Annotated[Duration, Field(description="How long an answer is given again.")]


class Routing(APIModel):
    """Which of the gateway's requests the backend gets, and what is tried when it does not answer."""

    model_config = {
        "json_schema_extra": rules(
            (
                "duration(self.timeout) >= duration('1s') && duration(self.timeout) <= duration('24h')",
                "timeout must be at least 1s and at most 24h",
            ),
            ("duration(self.maxQueueTime) <= duration('1h')", "maxQueueTime must be at most 1h"),
        )
    }

    capabilities: Annotated[
        list[Capability],
        Field(
            max_length=16,
            description="What the model is good for, e.g. chat, code, high_volume: the model `auto` is chosen by it.",
            json_schema_extra=_A_SET,
        ),
    ] = []
    default: Annotated[
        bool,
        Field(description="Answers jobs of the namespace that name no model, and `auto` first. One of a namespace."),
    ] = False
    priority: Annotated[
        int, Field(ge=0, le=100, description="A higher number gets requests only while no lower one can take them.")
    ] = 0
    weight: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description=(
                "Share of the requests among the pool's backends of one priority. Where all have the same, the less "
                "busy pods get more; 0 gets none while another backend can take them."
            ),
        ),
    ] = 100
    strategy: Annotated[
        Strategy,
        Field(
            description=(
                "LeastLoad: the less busy pod of two. PrefixHash: requests that begin alike go to the same pod, whose "
                "prefix cache then holds the beginning, as long as it is not much busier than the others."
            )
        ),
    ] = "LeastLoad"
    fallbacks: Annotated[
        list[ObjectName],
        Field(
            max_length=8,
            description="ModelBackends of the namespace that are tried, in this order, when the pool does not answer.",
            json_schema_extra=_A_SET,
        ),
    ] = []
    timeout: Annotated[
        Duration, Field(description="For one request with its queueing, retries and fallbacks; then 504.")
    ] = "600s"
    retries: Annotated[
        int, Field(ge=0, le=5, description="Further tries of a request of whose answer nothing was given out yet.")
    ] = 2
    cache: ResponseCache | None = None
    max_in_flight: Annotated[
        int | None,
        Field(ge=1, le=10000, description="Requests at a time, a ready pod and gateway replica; further ones queue."),
    ] = None
    max_queued: Annotated[
        int, Field(ge=0, le=10000, description="Requests that wait for their turn, a gateway replica; then 429.")
    ] = 100
    max_queue_time: Annotated[Duration, Field(description="How long a request waits for its turn; then 429.")] = "60s"


class Access(APIModel):
    """Whose InferenceJobs may use the backend; without tenants the gateway serves every backend to everybody."""

    model_config = {
        "json_schema_extra": rules(
            (
                "(self.from == 'Selected') == (size(self.namespaces) > 0)",
                "namespaces belongs to from: Selected, which needs at least one",
            )
        )
    }

    from_: Annotated[
        Literal["Same", "All", "Selected"],
        Field(alias="from", description="Jobs of the backend's own namespace, of all, or of it and those selected."),
    ] = "Same"
    namespaces: Annotated[
        list[NamespaceName],
        Field(max_length=64, description="Further namespaces, with Selected.", json_schema_extra=_A_SET),
    ] = []

    def admits(self, namespace: str) -> bool:
        """Whether jobs of another namespace than the backend's may use it."""
        return self.from_ == "All" or (self.from_ == "Selected" and namespace in self.namespaces)
