"""The worker's report."""

import asyncio

from splai.api.ledger import EngineState, HeldTask, TaskCounts, WorkerReport
from splai.worker.heartbeat import Heartbeat
from splai.worker.settings import Identity
from tests.unit.worker.simulated_store import SimulatedFolder, Store, Weather
from tests.unit.worker.virtual_time import run

HELD = HeldTask(task="0001", epoch=2, counts=TaskCounts(completed=3))
ENGINE = EngineState(reachable=False, message="HTTP 503")


def make_heartbeat(folder: SimulatedFolder) -> Heartbeat:
    identity = Identity("job-1", 2, "uid", "job-1-2-abcde")
    return Heartbeat(
        folder,
        identity,
        held=lambda: [HELD],
        in_flight=lambda: 7,
        engine=lambda: ENGINE,
        finalized_bytes=lambda: 4096,
    )


def read(store: Store) -> WorkerReport:
    return WorkerReport.model_validate_json(store.objects["workers/job-1-2-uid"])


def test_it_reports_every_five_seconds_and_each_report_differs() -> None:
    async def scenario() -> None:
        store = Store()
        beating = asyncio.create_task(make_heartbeat(SimulatedFolder(store)).run())
        await asyncio.sleep(5.5)
        first = read(store)
        await asyncio.sleep(5)
        beating.cancel()
        assert read(store).sequence == first.sequence + 1
        assert (first.child_job, first.index, first.pod_uid, first.pod_name) == ("job-1", 2, "uid", "job-1-2-abcde")
        assert (first.state, first.held, first.in_flight, first.engine) == ("running", [HELD], 7, ENGINE)
        assert first.finalized_bytes == 4096

    run(scenario())


def test_a_store_that_is_away_does_not_stop_it() -> None:
    async def scenario() -> None:
        store = Store()
        folder = SimulatedFolder(store, Weather(refused=1.0))
        beating = asyncio.create_task(make_heartbeat(folder).run())
        await asyncio.sleep(60)
        folder.weather = Weather()
        await asyncio.sleep(6)
        beating.cancel()
        assert read(store).state == "running"

    run(scenario())


def test_a_report_that_is_on_its_way_does_not_overwrite_the_release() -> None:
    class Network(SimulatedFolder):
        """The server carries out what was sent, whether or not the sender still waits."""

        seconds = 0.8

        async def put(self, path: str, data: bytes) -> None:
            answered = asyncio.Event()

            def carry_out() -> None:
                self.store.put(path, data)
                answered.set()

            asyncio.get_running_loop().call_later(self.seconds, carry_out)
            await answered.wait()

    async def scenario() -> None:
        store = Store()
        folder = Network(store)
        heartbeat = make_heartbeat(folder)
        beating = asyncio.create_task(heartbeat.run())
        await asyncio.sleep(5.1)
        beating.cancel()
        folder.seconds = 0.1
        await heartbeat.release()
        await asyncio.sleep(10)
        assert read(store).state == "released"

    run(scenario())


def test_a_report_that_hangs_delays_the_release_for_a_second() -> None:
    async def scenario() -> None:
        store = Store()
        folder = SimulatedFolder(store)
        heartbeat = make_heartbeat(folder)
        beating = asyncio.create_task(heartbeat.run())
        await asyncio.sleep(4)
        folder.frozen_until = 1000.0
        await asyncio.sleep(2)
        beating.cancel()
        folder.frozen_until = 0.0
        await heartbeat.release()
        assert asyncio.get_running_loop().time() < 7.2
        await asyncio.sleep(1000)
        assert read(store).state == "released"

    run(scenario())


def test_releasing_is_bounded() -> None:
    async def scenario() -> None:
        store = Store()
        await make_heartbeat(SimulatedFolder(store)).release()
        assert (read(store).state, read(store).in_flight) == ("released", 0)

        folder = SimulatedFolder(store)
        folder.frozen_until = 1000.0
        await make_heartbeat(folder).release()
        assert asyncio.get_running_loop().time() < 5

    run(scenario())
