"""Runs a customization's Lua as Argo CD's application controller and server do: their sandbox, their conversions.

Lua 5.1 without string, math, io and debug; ``require("os")`` knows only date and time. A table without entries becomes
a list. What a patching action returns is compared with the old object, and only there get empty maps back.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lupa import lua51  # type: ignore[import-untyped]  # its stubs are a distribution of their own

NOW = datetime(2026, 5, 1, 12, 3, tzinfo=UTC)
_BASE = (
    *("assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "print", "rawequal", "rawget", "rawset"),
    *("select", "setmetatable", "table", "tonumber", "tostring", "type", "unpack", "xpcall"),
)
_RUN = """
function (source, names, modules, obj)
  local environment = { obj = obj, require = function (name) return modules[name] end }
  for _, name in ipairs(names) do environment[name] = _G[name] end
  environment._G = environment
  getmetatable("").__index = nil
  local script = assert(loadstring(source))
  return setfenv(script, environment)()
end
"""

Object = dict[str, Any]
LuaError = lua51.LuaError


def run(script: str, obj: Object) -> Any:
    """What ``script`` returns for ``obj``, as JSON; raises what Lua raises."""
    lua = lua51.LuaRuntime(register_eval=False, register_builtins=False, unpack_returned_tuples=True)
    modules = lua.table_from({"os": lua.table_from({"date": _date, "time": lambda: int(NOW.timestamp())})})
    return _encoded(lua.eval(_RUN)(script, lua.table_from(_BASE), modules, _decoded(lua, obj)))


def health(script: str, obj: Object) -> Object:
    result = run(script, obj)
    assert result.keys() == {"status", "message"}
    assert result["status"] in {"Unknown", "Progressing", "Suspended", "Healthy", "Degraded", "Missing"}
    assert isinstance(result, dict)
    return result


def discover(script: str, obj: Object) -> list[Object]:
    """The actions that are offered, by name."""
    return [{"name": name, **action} for name, action in sorted(run(script, obj).items())]


def act(script: str, obj: Object) -> tuple[str, Object]:
    """The one operation, ``patch`` or ``create``, and the object that it leads to."""
    result = run(script, obj)
    if isinstance(result, dict):
        return "patch", _with_empty_maps(result, obj)
    (impacted,) = result
    return impacted["operation"], impacted["resource"]


def _date(layout: str) -> str:
    assert layout.startswith("!"), "local time differs from machine to machine"
    return NOW.strftime(layout[1:])


def _decoded(lua: Any, value: Any) -> Any:
    if isinstance(value, Mapping):
        return lua.table_from({name: _decoded(lua, inner) for name, inner in value.items() if inner is not None})
    if isinstance(value, Sequence) and not isinstance(value, str):
        return lua.table_from([_decoded(lua, inner) for inner in value])
    return value


def _encoded(value: Any) -> Any:
    if lua51.lua_type(value) != "table":
        return value
    entries = {key: _encoded(inner) for key, inner in value.items()}
    if entries and all(isinstance(key, str) for key in entries):
        return entries
    places = range(1, len(entries) + 1)
    assert entries.keys() == set(places), "mixed or sparse tables have no JSON"
    return [entries[place] for place in places]


def _with_empty_maps(new: Object, old: Object) -> Object:
    return {name: _restored(value, old[name]) if name in old else value for name, value in new.items()}


def _restored(new: Any, old: Any) -> Any:
    if isinstance(new, dict) and isinstance(old, dict):
        return _with_empty_maps(new, old)
    if new == [] and isinstance(old, dict):
        return old
    if isinstance(new, list) and isinstance(old, list):
        pairs = zip(new, old, strict=False)
        both = [_restored(one, other) if type(one) is type(other) else one for one, other in pairs]
        return both + new[len(old) :]
    return new
