"""From ``package.module:attribute`` to a workflow, or to words that say what is wrong with it.

The words name modules, types and lines, never the text of an exception of the program's: it may hold what is secret,
and these words end up in the backend's status.
"""

import importlib
import inspect
import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from splai.logs import origin
from splai.workflows.registry import Registered
from splai.workflows.workflow import GeneratorWorkflow, Workflow

INITIAL_STATE = "create_initial_state"
"""The function of the callable's module, if it has one, whose result each run begins with."""

_log = logging.getLogger(__name__)


class WorkflowInvalid(Exception):
    """The callable cannot be served; the message is for whoever wrote ``spec.workflow``."""


def load(target: str, code: Path | None = None) -> Registered:
    """Import the callable, with the modules in the folder ``code`` before all others; raises WorkflowInvalid."""
    name, colon, attribute = target.partition(":")
    if not (name and colon and attribute):
        raise WorkflowInvalid(f"{target}: write it as package.module:attribute")
    if code is not None:
        sys.path.insert(0, str(code.absolute()))
        importlib.invalidate_caches()
    module = _import(name, code)
    if not hasattr(module, attribute):
        raise WorkflowInvalid(f"{target}: the module has no {attribute}")
    create_initial_state = getattr(module, INITIAL_STATE, dict)
    if not callable(create_initial_state):
        raise WorkflowInvalid(f"{target}: {INITIAL_STATE} of its module must be a function that makes a dict")
    return Registered(as_workflow(getattr(module, attribute), target), create_initial_state)


def as_workflow(found: Any, target: str) -> Workflow:
    """What an attribute is as a workflow; raises WorkflowInvalid."""
    if inspect.isasyncgenfunction(found):
        return GeneratorWorkflow(_takes_a_state(found, target))
    if callable(getattr(found, "astream", None)) and not inspect.isclass(found):
        workflow: Workflow = found
        return workflow
    if callable(getattr(found, "compile", None)):
        raise WorkflowInvalid(f"{target}: the graph is not compiled: serve what its compile() returns")
    kind = "a class" if inspect.isclass(found) else f"a {type(found).__name__}"
    raise WorkflowInvalid(f"{target}: must be an async generator function or a compiled LangGraph graph, not {kind}")


def _takes_a_state(function: Callable[..., Any], target: str) -> Callable[..., Any]:
    try:
        inspect.signature(function).bind({})
    except TypeError:
        raise WorkflowInvalid(f"{target}: must take one argument, the state") from None
    return function


def _import(name: str, code: Path | None) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            raise WorkflowInvalid(_no_module(name, code)) from error
        raise WorkflowInvalid(
            f"{name} imports {missing}, which the image does not have: name one that does in spec.workflow.image"
        ) from error
    except SyntaxError as error:
        raise WorkflowInvalid(f"{name}: {error.msg} ({_file(error.filename or '')}, line {error.lineno})") from error
    except Exception as error:
        _log.error("the workflow cannot be imported", extra=origin(error))
        raise WorkflowInvalid(f"{name}: {type(error).__name__} while it was imported, {_place(error)}") from error


def _no_module(name: str, code: Path | None) -> str:
    if code is None:
        return f"{name}: the image has no such module"
    file = name.rpartition(".")[2] + ".py"
    return f"{name}: neither has the ConfigMap of spec.workflow.configMap a file {file}, nor the image such a module"


def _place(error: BaseException) -> str:
    """The last line of the program's that the exception came through."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = frames[-1]
    return f"{_file(frame.filename)}, line {frame.lineno}"


def _file(path: str) -> str:
    return Path(path).name
