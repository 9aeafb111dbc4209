"""Conditions as in metav1.Condition, with the polarity rules of the API conventions.

https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md
"""

from typing import Annotated, Literal

from pydantic import Field

from splai.api.base import APIModel

ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(APIModel):
    """One aspect of the current state."""

    type: Annotated[str, Field(max_length=316)]
    status: ConditionStatus
    observed_generation: Annotated[int | None, Field(description="The metadata.generation this was decided on.")] = None
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    reason: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    message: Annotated[str, Field(max_length=32768)] = ""
