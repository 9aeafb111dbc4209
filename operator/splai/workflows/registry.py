"""The workflows of this process, by the model id that clients ask for."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from splai.api.openai_chat import ModelInfo
from splai.workflows.workflow import State, Workflow

OWNER = "splai"


class UnknownWorkflow(LookupError):
    """No workflow answers to the model id."""

    def __init__(self, model: str) -> None:
        super().__init__(f"The model '{model}' does not exist")


@dataclass(frozen=True)
class Registered:
    """A workflow and what each of its runs begins with."""

    workflow: Workflow
    create_initial_state: Callable[[], State] = dict
    created: int = field(default_factory=lambda: int(time.time()))
    """Unix seconds."""


class WorkflowRegistry:
    """One for the process; a workflow's module may register further ones when it is imported."""

    _workflows: ClassVar[dict[str, Registered]] = {}

    @classmethod
    def register(cls, model: str, workflow: Workflow, *, create_initial_state: Callable[[], State] = dict) -> None:
        """Serve the workflow under a model id, in the place of one that has it already."""
        cls._workflows[model] = Registered(workflow, create_initial_state)

    @classmethod
    def find(cls, model: str) -> Registered:
        """Raises UnknownWorkflow."""
        try:
            return cls._workflows[model]
        except KeyError:
            raise UnknownWorkflow(model) from None

    @classmethod
    def get_workflow(cls, model: str) -> Workflow:
        """Raises UnknownWorkflow."""
        return cls.find(model).workflow

    @classmethod
    def get_available_models(cls) -> list[ModelInfo]:
        """Every id that can be asked for."""
        return [
            ModelInfo(id=model, object="model", created=registered.created, owned_by=OWNER)
            for model, registered in cls._workflows.items()
        ]
