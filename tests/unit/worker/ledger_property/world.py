"""One job in virtual time: real workers, finishers and the progress reader over one store."""

import asyncio
import itertools
import random
from pathlib import Path

from splai.api.ledger import FINAL, PLAN
from splai.artifacts.folder import StoreRefused
from splai.artifacts.ledger_reader import LedgerReader
from splai.artifacts.store_folder import StoreFolder
from splai.worker.batch import Batch
from splai.worker.finalize import NotCommitted
from splai.worker.finish import Stopped, finish_job
from splai.worker.ledger import encode
from splai.worker.settings import Identity, WorkerSettings
from tests.unit.worker.ledger_property.faulty_folder import FaultyFolder, Site, StoreThread, Trap
from tests.unit.worker.ledger_property.promises import Promises
from tests.unit.worker.simulation import SimulatedEngine, make_order
from tests.unit.worker.virtual_time import VirtualLoop

REJECTED = frozenset({"question 1", "question 4"})
CLOSING_CODE = "batch_cancelled"
POLL_SECONDS = 1.0
READER_LATENCY = 3.0  # seconds at most: much can happen between its list and its reads
LONGEST_JOB = 4 * 3600.0
ZOMBIE_SECONDS = 400.0  # more than any process is frozen or any call is late
FIRST_CALM_CHILD = 10


class Process:
    """A worker or a finisher, which can be killed, frozen, or asked to stop."""

    def __init__(self, folder: FaultyFolder, task: asyncio.Task[object], stop: asyncio.Event) -> None:
        self.task = task
        self.stop = stop
        self._folder = folder
        folder.on_crash = self.kill

    def kill(self) -> None:
        """SIGKILL: no call after this one has an effect."""
        self._folder.dead = True
        self.task.cancel()

    def freeze(self, until: float) -> None:
        """SIGSTOP, or a network that swallows everything for a while."""
        self._folder.frozen_until = until

    @property
    def failure(self) -> BaseException | None:
        """Why it failed; a process may fail because the store refused it, a finisher also because it came too early."""
        if not self.task.done() or self.task.cancelled():
            return None
        failure = self.task.exception()
        while isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
        return None if isinstance(failure, StoreRefused | NotCommitted | Stopped) else failure


class World:
    """The job, its processes, and the virtual time in which they run."""

    def __init__(self, store: StoreFolder, *, records: int, concurrency: int, seed: int) -> None:
        self._runner = asyncio.Runner(loop_factory=VirtualLoop)
        self._loop = self._runner.get_loop()
        self._thread = StoreThread()
        self._chance = random.Random(seed)
        self._engine = SimulatedEngine(self._chance, latency=10.0, failures=0.05, rejected=REJECTED)
        self._order = make_order(records, concurrency=concurrency)
        self.promises = Promises(self._order)
        self._site = Site(self._thread, store, self.promises.wrote, self._chance)
        self._site.create("operator", PLAN, encode(self._order))
        self._processes: dict[str, Process] = {}
        self._is_cancelled = False
        self.restart_artifact_server()
        self._loop.create_task(self._poll())

    def start_worker(self, child: int, index: int) -> str:
        """A pod; another of the same child and index may still run. Returns its name."""
        identity = Identity(f"job-{child}", index, f"uid{len(self._processes)}")
        folder = FaultyFolder(self._site, identity.worker)
        batch = Batch(self._order, folder, identity, self._engine.engine(), clock=self._loop.time, pulse=lambda: None)
        stop = asyncio.Event()
        self._processes[identity.worker] = Process(folder, self._loop.create_task(batch.run(stop)), stop)
        return identity.worker

    def start_finisher(self, *, closing: bool) -> str:
        """The pod that writes the outputs of a job whose workers are gone; with ``closing`` the job was cancelled."""
        identity = Identity("job-finish", 0, f"uid{len(self._processes)}")
        folder = FaultyFolder(self._site, identity.worker)
        settings = WorkerSettings(
            artifacts_url="",
            token_file=Path(),
            namespace=self._order.namespace,
            job_uid=self._order.uid,
            identity=identity,
            closing_code=CLOSING_CODE if closing else "",
            closing_message="The job was cancelled." if closing else "",
        )
        stop = asyncio.Event()
        work = finish_job(folder, self._order, settings, pulse=lambda: None, stop=stop)
        self._processes[identity.worker] = Process(folder, self._loop.create_task(work), stop)
        self._is_cancelled |= closing
        return identity.worker

    def restart_artifact_server(self) -> None:
        """It forgets what it knew of earlier reports."""
        self._reader = LedgerReader(
            FaultyFolder(self._site, "artifact server", latency=READER_LATENCY), self._loop.time
        )

    def kill(self, process: str) -> None:
        self._processes[process].kill()

    def drain(self, process: str) -> None:
        """SIGTERM."""
        self._processes[process].stop.set()

    def freeze(self, process: str, seconds: float) -> None:
        self._processes[process].freeze(self._loop.time() + seconds)

    def set_trap(self, trap: Trap) -> None:
        self._site.traps.append(trap)

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._runner.run(asyncio.sleep(seconds))

    def run_to_the_end(self) -> None:
        """Let what is still wrong be over, give the job the pods it needs, and wait for zombies."""
        self._site.traps.clear()
        self._runner.run(asyncio.wait_for(self._until_final(), LONGEST_JOB))
        self.run(ZOMBIE_SECONDS)

    def check(self) -> None:
        """Raise AssertionError if anything promised does not hold, or a process failed of itself."""
        for name, process in self._processes.items():
            if (failure := process.failure) is not None:
                raise AssertionError(f"{name} failed") from failure
        self.promises.check()

    def check_store(self) -> None:
        """Raise AssertionError if the store holds something else than was written."""
        listed = self._thread.run(self._site.store.list())
        assert {entry.path for entry in listed} == self.promises.objects.keys()
        for path, data in self.promises.objects.items():
            assert self._thread.run(self._site.store.get(path)) == data, f"{path} is not what was written"

    def close(self) -> None:
        self._runner.close()
        self._thread.close()

    async def _until_final(self) -> None:
        for child in itertools.count(FIRST_CALM_CHILD):
            started = [self.start_worker(child, index) for index in range(2)]
            if self._is_cancelled:
                started.append(self.start_finisher(closing=True))
            await asyncio.wait([self._processes[name].task for name in started])
            if FINAL in self.promises.objects:
                return

    async def _poll(self) -> None:
        """What the operator does: ask for the job's progress again and again."""
        while True:
            reader = self._reader
            progress = await reader.read()
            if reader is self._reader:
                self.promises.showed(progress)
            await asyncio.sleep(POLL_SECONDS)
