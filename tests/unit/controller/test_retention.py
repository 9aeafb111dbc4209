"""Results are removed when their job is gone and their time is over, and never else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from splai.artifacts.folder import FolderName, StoreUnavailable
from splai.controller.retention import FIRST_DELAY, INTERVAL, Retention

DAY = 86400.0
KEEP = timedelta(days=30)


class Store:
    """Folders with the seconds since they changed."""

    def __init__(self, **idle: float | None) -> None:
        self.idle = {FolderName("n", uid): seconds for uid, seconds in idle.items()}
        self.asked: list[str] = []
        self.lists: list[str] = []
        self.fail: list[Exception] = []

    async def folders(self, namespace: str = "") -> AsyncIterator[FolderName]:
        self.lists.append(namespace)
        if self.fail:
            raise self.fail.pop(0)
        for name in list(self.idle):
            yield name

    def job(self, namespace: str, uid: str) -> "Folder":
        return Folder(self, FolderName(namespace, uid))

    @property
    def uids(self) -> list[str]:
        return [name.uid for name in self.idle]


class Folder:
    def __init__(self, store: Store, name: FolderName) -> None:
        self._store = store
        self._name = name

    async def idle_seconds(self) -> float | None:
        self._store.asked.append(self._name.uid)
        return self._store.idle[self._name]

    async def remove(self) -> None:
        del self._store.idle[self._name]


def retention(store: Store, *known: str, namespaces: Sequence[str] = ()) -> Retention:
    return Retention(store, keep=KEEP, namespaces=namespaces, is_known=lambda uid: uid in known, jitter=lambda: 0.5)


async def test_only_old_results_of_jobs_that_are_gone_are_removed() -> None:
    store = Store(old=31 * DAY, young=29 * DAY, live=90 * DAY, empty=None)

    assert await retention(store, "live").sweep() == 1

    assert store.uids == ["young", "live", "empty"]
    assert "live" not in store.asked


async def test_an_operator_of_some_namespaces_looks_into_those_alone() -> None:
    store = Store()

    await retention(store, namespaces=("a", "b")).sweep()

    assert store.lists == ["a", "b"]


@pytest.mark.looptime
async def test_it_looks_every_hour_and_goes_on_when_the_store_was_away() -> None:
    store = Store(old=31 * DAY)
    store.fail = [StoreUnavailable("away")]
    running = asyncio.create_task(retention(store).run())

    await asyncio.sleep(FIRST_DELAY + 1)
    assert store.uids == ["old"]

    await asyncio.sleep(INTERVAL + 1)
    assert store.uids == []
    running.cancel()
