"""A program served as a model: where its Python is, and what to call in it."""

from typing import Annotated

from pydantic import Field

from splai.api.base import APIModel, rules
from splai.api.pod_template import LocalObjectReference


class Workflow(APIModel):
    """An async generator function or a LangGraph graph that answers conversations."""

    model_config = {
        "json_schema_extra": rules(
            (
                "has(self.configMap) || has(self.image)",
                "set configMap, image or both: the callable's code comes from there",
            )
        )
    }

    callable: Annotated[
        str,
        Field(
            max_length=253,
            pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$",
            description="The async generator function or graph, as package.module:attribute.",
        ),
    ]
    config_map: Annotated[
        LocalObjectReference | None,
        Field(description="A ConfigMap of the namespace whose keys are Python files: the modules of the package."),
    ] = None
    image: Annotated[
        str | None,
        Field(
            max_length=512,
            description="An image with the command `splai` and what the callable imports; default: SPLAI's own.",
        ),
    ] = None
