"""Prompt templates: Jinja2, cut down to what a prompt needs and what one record can be charged for.

The operator renders other people's templates in a process that serves everybody, so the sandbox that ships with
Jinja2 is not enough: it guards attributes, not time and memory (``{% set x = x ~ x %}`` forty times is a terabyte).
Here only listed syntax, filters and methods exist, a render takes at most ``MAX_STEPS`` turns of loops, and no string
on the way grows beyond ``MAX_OUTPUT``. A template may print, test, loop and filter; it defines and calls nothing.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, wraps
from typing import Any, ClassVar

from jinja2 import StrictUndefined, TemplateSyntaxError, UndefinedError, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

MAX_OUTPUT = 1024 * 1024
MAX_STEPS = 10_000
MAX_NODES = 2_000

_SYNTAX: tuple[type[nodes.Node], ...] = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.CondExpr),
    *(nodes.Name, nodes.Const, nodes.List, nodes.Tuple, nodes.Getattr, nodes.Getitem, nodes.Slice),
    *(nodes.Call, nodes.Keyword, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod),
)
_METHODS = frozenset(
    {"endswith", "get", "items", "keys", "lower", "lstrip", "rstrip", "split", "splitlines", "startswith"}
    | {"strip", "title", "upper", "values"}
)
_PLAIN_FILTERS = (
    *("capitalize", "count", "d", "default", "first", "float", "int", "items", "last", "length", "list", "lower"),
    *("reverse", "sort", "string", "title", "trim", "truncate", "unique", "upper", "wordcount"),
)
_STEP = "_splai_step"


class TemplateError(ValueError):
    """The template cannot be used, or not with this record."""


class _MissingFieldError(UndefinedError):
    """A name that the record does not have, as opposed to a part of one of its fields."""


class _Undefined(StrictUndefined):
    """Says what is missing in the words of somebody who wrote a template, not of Jinja2."""

    __slots__ = ()
    constants: ClassVar[frozenset[Any]] = frozenset()
    """What the template itself says. Any other name is made of a record's contents, which are not for a status."""

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: type[Exception] = UndefinedError,
    ) -> None:
        is_field = obj is missing and name is not None
        super().__init__(hint, obj, name, _MissingFieldError if is_field else UndefinedError)

    @property
    def _undefined_message(self) -> str:
        name: object = self._undefined_name  # a number where a list is asked for an item
        if name is None:
            return "the template uses the first or the last of nothing"
        if not (isinstance(name, str | int) and name in self.constants):
            return "the template uses a part of a field by a name from the record, and the field has no such part"
        if self._undefined_obj is missing:
            return f"the template uses {self._undefined_name!r}, which the record does not have"
        if isinstance(self._undefined_obj, Mapping):
            return (
                f"the template uses {self._undefined_name!r} of a field that does not have it; "
                f"it has: {_names(self._undefined_obj)}"
            )
        return f"the template uses {self._undefined_name!r} of a field that has no such part"


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if not all(isinstance(side, int | float) for side in (left, right)):
            raise SecurityError(f"{operator!r} is for numbers only; texts are joined by printing one after the other")
        return super().call_binop(context, operator, left, right)


def _names(fields: Iterable[Any]) -> str:
    names = [str(name)[:64] for name in fields]
    return ", ".join(names[:20]) + (", …" if len(names) > 20 else "") if names else "nothing"


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)  # with Jinja2's marker of what the filter wants as its first argument
    def checked(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if isinstance(result, str | list) and len(result) > MAX_OUTPUT:
            raise SecurityError(f"the result of filter {name!r} is too long")
        return result

    return checked


def _replace(text: Any, old: str, new: str) -> str:
    source = str(text)
    if len(source) + source.count(old) * len(new) > MAX_OUTPUT:
        raise SecurityError("the result of filter 'replace' is too long")
    return source.replace(old, new)


def _join(values: Iterable[Any], separator: str = "") -> str:
    parts = [str(value) for value in values]
    if sum(map(len, parts)) + len(parts) * len(separator) > MAX_OUTPUT:
        raise SecurityError("the result of filter 'join' is too long")
    return separator.join(parts)


def _tojson(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _make_environment() -> _Environment:
    environment = _Environment(undefined=_Undefined, autoescape=False, cache_size=0)
    environment.globals.clear()
    environment.filters = {name: _bounded(name, FILTERS[name]) for name in _PLAIN_FILTERS}
    environment.filters |= {"join": _join, "replace": _replace, "tojson": _bounded("tojson", _tojson)}
    return environment


_ENVIRONMENT = _make_environment()


def _check_syntax(tree: nodes.Template) -> None:
    everything = list(tree.find_all(nodes.Node))
    if len(everything) > MAX_NODES:
        raise TemplateError(f"is too complex: {len(everything)} elements, the limit is {MAX_NODES}")
    for node in everything:
        if not isinstance(node, _SYNTAX):
            raise TemplateError(f"line {node.lineno}: {type(node).__name__.lower()} is not available in a prompt")
        if isinstance(node, nodes.Call) and not (isinstance(node.node, nodes.Getattr) and node.node.attr in _METHODS):
            raise TemplateError(
                f"line {node.lineno}: only these methods can be called: {', '.join(sorted(_METHODS))}; filters do more"
            )


def _count_steps(tree: nodes.Template) -> None:
    for loop in tree.find_all(nodes.For):
        step = nodes.Call(nodes.Name(_STEP, "load"), [], [], None, None)
        loop.body.insert(0, nodes.ExprStmt(step).set_lineno(loop.lineno))


def _undefined_of(tree: nodes.Template) -> type[_Undefined]:
    """What stands for what is missing in a template; it knows the names there."""
    names: set[Any] = {it.name for it in tree.find_all(nodes.Name)} | {it.attr for it in tree.find_all(nodes.Getattr)}
    for constant in tree.find_all(nodes.Const):
        names |= {constant.value, *str(constant.value).split(".")}  # of a filter's attribute='a.b'

    class _UndefinedHere(_Undefined):
        __slots__ = ()
        constants = frozenset(names)

    return _UndefinedHere


@lru_cache(maxsize=64)
def _compile(source: str) -> tuple[Any, bool]:
    """The compiled template, and whether it loops."""
    try:
        tree = _ENVIRONMENT.parse(source)
        _check_syntax(tree)
        loops = tree.find(nodes.For) is not None
        undefined = _undefined_of(tree)
        _count_steps(tree)
        template = _ENVIRONMENT.overlay(undefined=undefined).from_string(tree)
    except TemplateSyntaxError as error:
        raise TemplateError(f"line {error.lineno}: {error.message}") from error
    except (RecursionError, SyntaxError) as error:
        raise TemplateError("is nested too deeply") from error
    template.globals = {}  # there are none, and looking for them in Jinja2's chain takes as long as a rendering
    return template, loops


def _step_counter() -> Callable[[], None]:
    left = MAX_STEPS

    def step() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise SecurityError(f"loops take more than {MAX_STEPS} turns")

    return step


class PromptTemplate:
    """A compiled template; ``render`` is cheap and safe to call for every record."""

    def __init__(self, source: str) -> None:
        self._template, self._loops = _compile(source)

    def render(self, record: Mapping[str, Any]) -> str:
        """The text for one record; raises TemplateError, whose words name fields and never quote their contents."""
        try:
            return self._render({**record, _STEP: _step_counter()} if self._loops else record)
        except _MissingFieldError as error:
            raise TemplateError(f"{error}; it has: {_names(record)}") from error
        except (SecurityError, UndefinedError) as error:
            raise TemplateError(str(error)) from error
        except Exception as error:  # a filter or an operator met a value it is not made for
            detail = f": {error}" if isinstance(error, TypeError) else ""
            raise TemplateError(f"the template fails on it ({type(error).__name__}{detail})") from error

    def _render(self, variables: Mapping[str, Any]) -> str:
        pieces: list[str] = []
        size = 0
        context = self._template.new_context(variables, shared=True)  # uncopied: a template here assigns nothing
        for piece in self._template.root_render_func(context):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_OUTPUT:
                raise SecurityError(f"the result is longer than {MAX_OUTPUT} characters")
        return "".join(pieces)
