"""The patient folder waits for the store, and says that it lives."""

import asyncio
import itertools
from collections.abc import AsyncIterator

from splai.worker.store import PatientFolder
from tests.unit.worker.simulated_store import SimulatedFolder, Store, Weather
from tests.unit.worker.virtual_time import run


def test_calls_are_repeated_for_as_long_as_the_store_is_away() -> None:
    async def scenario() -> None:
        store, pulses = Store(), list[float]()
        clock = asyncio.get_running_loop().time
        folder = SimulatedFolder(store, Weather(refused=1.0))
        patient = PatientFolder(folder, pulse=lambda: pulses.append(clock()))
        created = asyncio.create_task(patient.create("x", b"1"))
        await asyncio.sleep(3600)
        assert not created.done()
        assert len(pulses) < 500, "an hour of waiting is not an hour of asking"
        assert max(later - earlier for earlier, later in itertools.pairwise(pulses)) < 30
        folder.weather = Weather()
        assert await created
        assert store.objects == {"x": b"1"}

    run(scenario())


def test_a_stream_begins_anew_with_every_try() -> None:
    async def scenario() -> None:
        store, tries = Store(), list[int]()

        async def produce() -> AsyncIterator[bytes]:
            tries.append(1)
            yield b"a"
            yield b"b"

        await PatientFolder(SimulatedFolder(store, Weather(refused=0.9)), pulse=lambda: None).put_stream("x", produce)
        assert store.objects == {"x": b"ab"}
        assert len(tries) > 1

    run(scenario())


def test_looking_around_is_no_progress() -> None:
    async def scenario() -> None:
        pulses: list[int] = []
        patient = PatientFolder(SimulatedFolder(Store()), pulse=lambda: pulses.append(1))
        await patient.list()
        assert not pulses
        await patient.create("x", b"")
        assert pulses

    run(scenario())
