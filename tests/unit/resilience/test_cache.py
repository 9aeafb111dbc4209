"""The same answer is computed once, and one caller's bad luck is not another's."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from splai.resilience.cache import MemoryStore, ResponseCache, cache_key


class Failed(Exception):
    pass


class Computation:
    """Ends as the test says, one call at a time; it knows how often it began and how many ran together."""

    def __init__(self) -> None:
        self.begun = 0
        self.running = 0
        self.most_running = 0
        self._calls: list[asyncio.Future[bytes | None]] = []

    async def __call__(self) -> bytes | None:
        self.begun += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        call: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._calls.append(call)
        try:
            return await call
        finally:
            self.running -= 1

    def returns(self, value: bytes | None) -> None:
        self._calls.pop(0).set_result(value)

    def raises(self) -> None:
        self._calls.pop(0).set_exception(Failed())


class Callers:
    """Several who ask for the same key."""

    def __init__(self, count: int) -> None:
        self.computation = Computation()
        self.cache = ResponseCache(MemoryStore(100_000))
        self.tasks = [asyncio.create_task(self.cache.get_or_compute("key", self.computation, 60)) for _ in range(count)]

    async def outcomes(self) -> list[Any]:
        return await asyncio.gather(*self.tasks, return_exceptions=True)


async def settled() -> None:
    """All that can go on without the test has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_callers_of_the_same_key_are_answered_by_what_is_executed_once() -> None:
    callers = Callers(50)
    await settled()

    callers.computation.returns(b"answer")

    outcomes = await callers.outcomes()
    assert callers.computation.begun == 1
    assert outcomes[0] == (b"answer", False)
    assert outcomes[1:] == [(b"answer", True)] * 49


async def test_when_the_one_who_computes_fails_the_next_one_computes() -> None:
    callers = Callers(4)
    await settled()

    callers.computation.raises()
    await settled()
    assert callers.computation.begun == 2
    callers.computation.returns(b"answer")

    failed, computed, *followed = await callers.outcomes()
    assert isinstance(failed, Failed)
    assert computed == (b"answer", False)
    assert followed == [(b"answer", True)] * 2
    assert callers.computation.most_running == 1


async def test_when_the_one_who_computes_leaves_the_next_one_computes() -> None:
    callers = Callers(3)
    await settled()

    callers.tasks[0].cancel()
    await settled()
    callers.computation._calls.pop(0)
    callers.computation.returns(b"answer")

    left, computed, followed = await callers.outcomes()
    assert isinstance(left, asyncio.CancelledError)
    assert (computed, followed) == ((b"answer", False), (b"answer", True))


async def test_one_who_waits_and_leaves_disturbs_nobody() -> None:
    callers = Callers(3)
    await settled()

    callers.tasks[1].cancel()
    await settled()
    callers.computation.returns(b"answer")

    computed, left, followed = await callers.outcomes()
    assert isinstance(left, asyncio.CancelledError)
    assert (computed, followed) == ((b"answer", False), (b"answer", True))
    assert callers.computation.begun == 1


async def test_where_there_is_nothing_to_keep_those_who_waited_compute_together() -> None:
    callers = Callers(3)
    await settled()

    callers.computation.returns(None)
    await settled()

    assert callers.computation.running == 2
    callers.computation.returns(None)
    callers.computation.returns(b"other")
    assert await callers.outcomes() == [(None, False), (None, False), (b"other", False)]


async def test_different_keys_do_not_wait_for_each_other() -> None:
    computation = Computation()
    cache = ResponseCache(MemoryStore(100_000))
    tasks = [asyncio.create_task(cache.get_or_compute(key, computation, 60)) for key in ("one", "other")]
    await settled()

    assert computation.running == 2

    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_an_answer_lives_as_long_as_it_was_given() -> None:
    now = 100.0
    cache = ResponseCache(MemoryStore(100_000, lambda: now))

    async def compute() -> bytes:
        return f"at {now}".encode()

    assert await cache.get_or_compute("key", compute, 60) == (b"at 100.0", False)
    now = 159.0
    assert await cache.get_or_compute("key", compute, 60) == (b"at 100.0", True)
    now = 160.0
    assert await cache.get_or_compute("key", compute, 60) == (b"at 160.0", False)


async def test_nothing_is_left_of_a_key_that_is_no_longer_computed() -> None:
    callers = Callers(2)
    await settled()
    callers.computation.raises()
    await settled()
    callers.computation.raises()
    await callers.outcomes()

    assert callers.cache._leaders == {}


async def test_what_was_not_asked_for_the_longest_makes_room() -> None:
    store = MemoryStore(4000)
    for key in ("a", "b", "c"):
        await store.put(key, bytes(900), 60)
    await store.get("a")

    await store.put("d", bytes(900), 60)

    assert [key for key in "abcd" if await store.get(key)] == ["a", "c", "d"]


async def test_what_is_larger_than_the_store_takes_nothing_away() -> None:
    store = MemoryStore(4000)
    await store.put("a", b"small", 60)

    await store.put("b", bytes(5000), 60)

    assert await store.get("a") == b"small"
    assert await store.get("b") is None


async def test_a_new_value_replaces_the_old_one_and_its_size() -> None:
    store = MemoryStore(4000)
    for _ in range(100):
        await store.put("a", bytes(1500), 60)
    await store.put("b", bytes(1500), 60)

    assert await store.get("a")
    assert await store.get("b")


def test_a_request_has_the_same_key_however_it_is_written_and_delivered() -> None:
    one = cache_key("t", "m", "/v1/chat/completions", {"messages": [{"role": "user", "content": "é"}], "seed": 1})
    same = cache_key(
        "t",
        "m",
        "/v1/chat/completions",
        {
            "seed": 1,
            "messages": [{"content": "é", "role": "user"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "user": "ada",
            "metadata": {"run": "7"},
        },
    )

    assert one == same


@pytest.mark.parametrize(
    "change",
    [
        lambda request: request | {"tenant": "other"},
        lambda request: request | {"model": "other"},
        lambda request: request | {"path": "/v1/completions"},
        lambda request: request | {"document": {"seed": 2}},
        lambda request: request | {"document": {"seed": 1.0}},
        lambda request: request | {"document": {"seed": True}},
        lambda request: request | {"document": {"seed": 1, "some_new_field": None}},
        lambda request: request | {"tenant": "tm", "model": ""},
    ],
)
def test_whatever_an_answer_depends_on_makes_another_key(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    request: dict[str, Any] = {"tenant": "t", "model": "m", "path": "/v1/chat/completions", "document": {"seed": 1}}

    assert cache_key(**change(request)) != cache_key(**request)


def test_text_that_is_no_unicode_has_a_key_too() -> None:
    assert len(cache_key("t", "m", "/", {"prompt": "\ud800"})) == 64
