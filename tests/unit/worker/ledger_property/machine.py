"""A job that hypothesis torments: it chooses what goes wrong, where in the protocol, and when."""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from splai.api import ledger as ledger_objects
from splai.artifacts import progress
from splai.artifacts.store_folder import StoreFolder
from tests.unit.worker.ledger_property.faulty_folder import Call, Fault, Trap
from tests.unit.worker.ledger_property.world import World

MOST_TASKS = 2  # so that a few records make tasks of several, with several parts
# Few places, so that pods follow each other and tasks have many holders: child Job and index.
PLACES = st.sampled_from([(1, 0), (1, 0), (1, 1), (2, 0)])
MOMENTS = st.sampled_from([0.0, 0.5, 2.0, 5.0, 8.0, 12.0, 20.0, 70.0])  # seconds
# Of a process's next call of a kind. No report is late: an old one over a newer one is what the page does not promise.
FATES = st.tuples(st.sampled_from(Call), st.sampled_from(Fault), MOMENTS).filter(
    lambda fate: fate[:2] != (Call.REPORT, Fault.LATE)
)
Fate = tuple[Call, Fault, float]


def torments(examples: int, steps: int) -> settings:
    """So many jobs, each with so many things that happen; LEDGER_EXAMPLES asks for more jobs, other ones each time."""
    wanted = os.environ.get("LEDGER_EXAMPLES")
    return settings(
        max_examples=int(wanted or examples),
        stateful_step_count=steps,
        derandomize=wanted is None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )


class LedgerMachine(RuleBasedStateMachine):
    """Rules are what may happen to a job; after each of them every promise must hold."""

    processes = Bundle("processes")

    def __init__(self) -> None:
        super().__init__()
        self._tasks_before = ledger_objects.MAX_TASKS
        _set_most_tasks(MOST_TASKS)
        self._world: World | None = None
        self._is_sound = True

    @staticmethod
    def open_store() -> StoreFolder:
        """An empty folder."""
        raise NotImplementedError

    @property
    def world(self) -> World:
        assert self._world is not None
        return self._world

    @initialize(target=processes, records=st.integers(1, 16), concurrency=st.integers(1, 3), seed=st.integers(0, 999))
    def start_job(self, records: int, concurrency: int, seed: int) -> str:
        self._world = World(self.open_store(), records=records, concurrency=concurrency, seed=seed)
        return self.world.start_worker(1, 0)

    @rule(target=processes, place=PLACES, fates=st.lists(FATES, max_size=2), seconds=MOMENTS)
    def start_worker(self, place: tuple[int, int], fates: list[Fate], seconds: float) -> str:
        return self._started(self.world.start_worker(*place), fates, seconds)

    @rule(target=processes, closing=st.booleans(), fates=st.lists(FATES, max_size=2), seconds=MOMENTS)
    def start_finisher(self, closing: bool, fates: list[Fate], seconds: float) -> str:
        return self._started(self.world.start_finisher(closing=closing), fates, seconds)

    @rule(process=processes, seconds=MOMENTS)
    def kill(self, process: str, seconds: float) -> None:
        self.world.kill(process)
        self.world.run(seconds)

    @rule(process=processes, seconds=MOMENTS)
    def drain(self, process: str, seconds: float) -> None:
        self.world.drain(process)
        self.world.run(seconds)

    @rule(process=processes, frozen=MOMENTS, seconds=MOMENTS)
    def freeze(self, process: str, frozen: float, seconds: float) -> None:
        self.world.freeze(process, 2 * frozen)  # up to a time when its lease is long over
        self.world.run(seconds)

    @rule(process=processes, fate=FATES, seconds=MOMENTS)
    def meet_fate(self, process: str, fate: Fate, seconds: float) -> None:
        self._started(process, [fate], seconds)

    @rule()
    def restart_artifact_server(self) -> None:
        self.world.restart_artifact_server()

    @rule(seconds=MOMENTS)
    def wait(self, seconds: float) -> None:
        self.world.run(seconds)

    def _started(self, process: str, fates: list[Fate], seconds: float) -> str:
        for fate in fates:
            self.world.set_trap(Trap(process, *fate))
        self.world.run(seconds)
        return process

    @invariant()
    def promises_hold(self) -> None:
        if self._world is not None:
            self._is_sound = False
            self.world.check()
            self._is_sound = True

    def teardown(self) -> None:
        try:
            if self._world is not None and self._is_sound:
                self.world.run_to_the_end()
                self.world.check()
                self.world.check_store()
        finally:
            if self._world is not None:
                self.world.close()
            _set_most_tasks(self._tasks_before)


def _set_most_tasks(number: int) -> None:
    ledger_objects.MAX_TASKS = number
    progress._task_ids.cache_clear()
