"""The worker pods of an InferenceJob."""

from typing import Annotated, Literal

from pydantic import Field

from splai.api.base import APIModel, immutable, neither_added_nor_removed, rules, unfilled
from splai.api.pod_template import PodTemplate


class Workers(APIModel):
    """The pods that send the records to the model."""

    model_config = {
        "json_schema_extra": rules(
            (
                "!has(self.minParallelism) || !has(self.parallelism) || self.minParallelism <= self.parallelism",
                "workers.minParallelism must not be more than workers.parallelism",
            ),
            *(neither_added_nor_removed(name, within="workers.") for name in ("concurrency", "minParallelism")),
        )
    }

    mode: Annotated[
        Literal["Shared", "Dedicated"],
        Field(
            description=(
                "Shared: workers call the backend's Service. "
                "Dedicated: each worker pod runs the backend's engine beside it, with its GPUs."
            ),
            json_schema_extra=immutable("workers.mode"),
        ),
    ] = "Shared"
    parallelism: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="Worker pods at once; may change while the job runs. Default: the policy's, else 1.",
            json_schema_extra=unfilled(),
        ),
    ] = 1
    min_parallelism: Annotated[
        int | None,
        Field(
            ge=1,
            le=1000,
            description="Kueue may admit the job with as few worker pods as these.",
            json_schema_extra=immutable("workers.minParallelism"),
        ),
    ] = None
    concurrency: Annotated[
        int,
        Field(
            ge=1,
            le=1024,
            description=(
                "Most requests in flight a worker; fewer while the backend says that it is overloaded. "
                "Default: the policy's, else 16."
            ),
            json_schema_extra=unfilled() | immutable("workers.concurrency"),
        ),
    ] = 16
    dispatch_order: Annotated[
        Literal["Input", "Prefix"],
        Field(
            description=(
                "Order in which a worker sends its records. Prefix: requests that begin alike follow each other, among "
                "all of a job of up to 1,000 records, else within each task; for engines with a prefix cache."
            ),
            json_schema_extra=immutable("workers.dispatchOrder"),
        ),
    ] = "Input"
    template: Annotated[
        PodTemplate | None,
        Field(
            description=(
                "Overlay on the worker pods. Dedicated: on top of the backend's template, "
                "and env, resources and volumeMounts are the engine's."
            )
        ),
    ] = None
