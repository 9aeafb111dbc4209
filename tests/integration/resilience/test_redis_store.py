"""Answers in a real Redis: shared while it is quick, a miss whenever it is not, and never somebody else's."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from splai.resilience.cache import ResponseCache
from splai.resilience.redis_store import RedisStore
from tests.integration.redis import Redis, running_redis

UNHURRIED = 30.0
"""Seconds for a Redis that must answer, on a machine that has other things to do."""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
async def store(redis: Redis) -> AsyncIterator[RedisStore]:
    redis.cli("flushall")
    store = RedisStore(redis.url, timeout_seconds=UNHURRIED)
    yield store
    await store.close()


async def test_what_one_replica_keeps_another_one_finds(redis: Redis, store: RedisStore) -> None:
    await store.put("key", b"\x00answer\xff", 60)

    other = RedisStore(redis.url, timeout_seconds=UNHURRIED)
    assert await other.get("key") == b"\x00answer\xff"
    assert await other.get("another key") is None
    await other.close()


async def test_it_ends_with_its_time(redis: Redis, store: RedisStore) -> None:
    await store.put("key", b"answer", 60)

    (name,) = redis.cli("keys", "*").split()
    assert 0 < int(redis.cli("pttl", name)) <= 60_000


async def test_what_is_too_large_is_not_kept(redis: Redis) -> None:
    store = RedisStore(redis.url, timeout_seconds=UNHURRIED, max_value_bytes=100)
    await store.put("large", bytes(101), 60)
    await store.put("small", bytes(100), 60)

    assert await store.get("large") is None
    assert await store.get("small") == bytes(100)
    await store.close()


async def test_more_callers_than_connections_are_all_answered(store: RedisStore) -> None:
    await asyncio.gather(*(store.put(str(number), str(number).encode(), 60) for number in range(200)))

    found = await asyncio.gather(*(store.get(str(number)) for number in range(200)))

    assert found == [str(number).encode() for number in range(200)]


async def test_a_slow_redis_is_a_miss_and_its_late_answer_is_nobody_elses(redis: Redis, store: RedisStore) -> None:
    await store.put("mine", b"mine", 60)
    await store.put("yours", b"yours", 60)
    hurried = RedisStore(redis.url)

    with redis.stopped():
        assert await hurried.get("mine") is None

    assert await hurried.get("yours") in {b"yours", None}  # None where the machine is slow too
    await hurried.close()


async def test_the_answer_of_a_caller_that_left_is_nobody_elses(redis: Redis, store: RedisStore) -> None:
    await store.put("mine", b"mine", 60)
    await store.put("yours", b"yours", 60)

    with redis.stopped():
        leaving = asyncio.create_task(store.get("mine"))
        for _ in range(20):  # the connection is there already, so the command is on its way
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])

    assert leaving.cancelled()
    assert await store.get("yours") == b"yours"


async def test_without_redis_answers_are_computed_and_nobody_waits(redis: Redis) -> None:
    store = RedisStore(redis.url)
    cache = ResponseCache(store)
    redis.process.kill()

    async def compute() -> bytes:
        return b"computed"

    for _ in range(10):
        assert await cache.get_or_compute("key", compute, 60) == (b"computed", False)

    assert store._breaker.state == "open"
    redis.start()
    await store.close()


async def test_it_is_used_again_when_it_is_back(redis: Redis) -> None:
    now = 0.0
    store = RedisStore(redis.url, timeout_seconds=UNHURRIED, clock=lambda: now)
    redis.process.kill()
    for _ in range(5):
        assert await store.get("key") is None

    redis.start()
    await store.put("key", b"too early", 60)
    assert await store.get("key") is None
    now += 5.0

    await store.put("key", b"answer", 60)
    assert await store.get("key") == b"answer"
    await store.close()


@pytest.mark.parametrize("url", ["", "http://localhost:6379", "localhost"])
def test_a_url_that_is_not_of_a_redis_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="redis"):
        RedisStore(url)
