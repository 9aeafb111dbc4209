"""The sandbox refuses what Argo CD's does, or the other tests would prove nothing."""

import pytest

from tests.unit.argo_cd.sandbox import LuaError, act, run


@pytest.mark.parametrize(
    "script",
    [
        "return string.sub('abc', 1)",
        "return ('abc'):sub(1)",
        "return math.floor(1.5)",
        "return io.open('x')",
        "return os.date()",
        "return debug.getinfo(1)",
        "return loadstring('return 1')()",
    ],
)
def test_libraries_are_closed(script: str) -> None:
    with pytest.raises(LuaError):
        run(script, {})


def test_the_clock_is_open() -> None:
    assert run("local os = require('os') return { date = os.date('!%H:%M') }", {}) == {"date": "12:03"}


def test_an_empty_map_comes_back_as_a_list() -> None:
    assert run("return { map = {}, list = { 1, 2 }, obj = obj }", {"a": {}}) == {
        "map": [],
        "list": [1, 2],
        "obj": {"a": []},
    }


def test_a_mixed_table_has_no_json() -> None:
    with pytest.raises(AssertionError, match="mixed or sparse"):
        run("return { 1, a = 2 }", {})


def test_a_patch_gets_its_empty_maps_back() -> None:
    obj = {"a": {}, "b": [{"c": {}}], "d": {"e": []}}

    assert act("obj.f = {} return obj", obj) == ("patch", {**obj, "f": []})
