"""How many replicas a ModelBackend has when what is asked of it decides, and what was decided last."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from splai.api.base import APIModel, Duration, parse_duration, rules


class Autoscaling(APIModel):
    """Replicas by what is asked of the backend: requests at the gateway and records of InferenceJobs.

    The decision is in ``status.autoscaling``; nothing of the spec is ever written.
    """

    model_config = {
        "json_schema_extra": rules(
            ("self.minReplicas <= self.maxReplicas", "autoscaling.minReplicas must not be more than maxReplicas"),
            (
                "duration(self.scaleDownDelay) <= duration('24h')",
                "autoscaling.scaleDownDelay must be at most 24h",
            ),
            (
                "!has(self.maxHold) || (duration(self.maxHold) >= duration('1s') && "
                "duration(self.maxHold) <= duration('1h'))",
                "autoscaling.maxHold must be at least 1s and at most 1h",
            ),
        )
    }

    min_replicas: Annotated[int, Field(ge=0, le=1000, description="Kept when nothing is asked; 0 frees the GPUs.")] = 0
    max_replicas: Annotated[int, Field(ge=1, le=1000, description="Never exceeded, whatever is asked.")]
    target_in_flight: Annotated[
        int, Field(ge=1, le=10000, description="Requests at a time that one replica is meant to serve.")
    ] = 32
    scale_down_delay: Annotated[
        Duration, Field(description="A replica goes when for so long it was not needed at any moment.")
    ] = "300s"
    max_hold: Annotated[
        Duration | None,
        Field(
            description=(
                "How long the gateway lets a request wait for the first replica; then 503. "
                "Left out: as long as the gateway's own setting says, 60s if nobody changed it."
            )
        ),
    ] = None

    @property
    def delay(self) -> timedelta:
        """``scale_down_delay``."""
        return parse_duration(self.scale_down_delay)

    def within(self, replicas: int) -> int:
        """The number that is allowed and nearest to ``replicas``."""
        return max(self.min_replicas, min(replicas, self.max_replicas))


class AutoscalingStatus(APIModel):
    """The last decision about the number of replicas; the Deployment follows it."""

    desired_replicas: Annotated[int, Field(description="Replicas that are wanted.")]
    reason: Annotated[str, Field(description="Why so many, in one word.")]
    message: Annotated[str, Field(description="What the decision was made on.")] = ""
    last_scale_time: Annotated[
        str | None,
        Field(description="When the number changed last.", json_schema_extra={"format": "date-time"}),
    ] = None
