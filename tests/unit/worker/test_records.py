"""Records by position: from the plan, or from chunks that are read once and not all kept."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from splai.api.ledger import InputManifest, chunk_path
from splai.artifacts.input_chunks import encode
from splai.worker import records
from splai.worker.ledger import LedgerBroken
from splai.worker.records import Records
from splai.worker.store import PatientFolder
from tests.unit.worker.simulated_store import SimulatedFolder, Store, Weather
from tests.unit.worker.simulation import make_order
from tests.unit.worker.virtual_time import run

EACH = 10  # records a chunk
CHUNKS = 6


class Input:
    """Sixty records in six chunks."""

    def __init__(self, weather: Weather | None = None) -> None:
        self.lines = [json.dumps({"text": f"question {number}"}).encode() for number in range(EACH * CHUNKS)]
        self.store = Store()
        for number in range(CHUNKS):
            self.store.put(chunk_path("try", number), encode(self.lines[number * EACH : (number + 1) * EACH]))
        self.reads: list[int] = []
        folder = SimulatedFolder(self.store, weather)
        folder.before_call = lambda _, path: self.reads.append(int(path.rpartition("/")[2]))
        manifest = InputManifest(
            attempt="try",
            first=list(range(0, EACH * CHUNKS, EACH)),
            records=EACH * CHUNKS,
            bytes=sum(map(len, self.lines)),
            format="jsonl",
            sources=[],
            spec_hash="hash",
        )
        self.records = Records(PatientFolder(folder, pulse=lambda: None), make_order(records=[], chunks=manifest))


def with_input(scenario: Callable[[Input], Coroutine[Any, Any, None]], weather: Weather | None = None) -> None:
    async def main() -> None:
        await scenario(Input(weather))

    run(main())


def test_records_of_the_plan_are_read_without_the_store() -> None:
    async def main() -> None:
        folder = SimulatedFolder(Store())
        read = Records(PatientFolder(folder, pulse=lambda: None), make_order(3))
        assert await read.record(2) == {"text": "question 2"}
        assert await read.line(1) == b'{"text":"question 1"}'
        assert folder.calls == 0

    run(main())


def test_every_position_has_its_own_line() -> None:
    async def scenario(given: Input) -> None:
        assert [await given.records.line(position) for position in range(EACH * CHUNKS)] == given.lines
        assert await given.records.record(37) == {"text": "question 37"}

    with_input(scenario)


def test_reading_in_order_reads_each_chunk_once_and_the_next_one_ahead() -> None:
    async def scenario(given: Input) -> None:
        await given.records.line(0)
        await asyncio.sleep(1)
        assert given.reads == [0, 1]
        for position in range(EACH * CHUNKS):
            await given.records.line(position)
        assert given.reads == list(range(CHUNKS))

    with_input(scenario)


def test_readers_of_the_same_chunk_share_one_call() -> None:
    async def scenario(given: Input) -> None:
        await asyncio.gather(*(given.records.line(position) for position in range(EACH)))
        assert given.reads == [0, 1]

    with_input(scenario)


def test_a_reader_that_is_cancelled_leaves_the_chunk_to_the_others() -> None:
    async def scenario(given: Input) -> None:
        first, second = (asyncio.create_task(given.records.line(position)) for position in (0, 1))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == given.lines[1]

    with_input(scenario)


def test_only_so_many_bytes_of_chunks_are_kept_those_used_last(monkeypatch: pytest.MonkeyPatch) -> None:
    chunk = 700  # bytes; ten records of 24 and what Python adds
    monkeypatch.setattr(records, "KEPT_BYTES", 3 * chunk)

    async def scenario(given: Input) -> None:
        for position in range(0, EACH * CHUNKS, EACH):
            await given.records.line(position)
            await asyncio.sleep(1)
        assert given.reads == list(range(CHUNKS))
        await given.records.line(EACH * (CHUNKS - 2))
        assert given.reads == list(range(CHUNKS)), "was kept"
        await given.records.line(0)
        assert given.reads[CHUNKS:] == [0, 1], "was not kept"

    with_input(scenario)


def test_a_store_that_is_away_is_waited_for() -> None:
    async def scenario(given: Input) -> None:
        assert [await given.records.line(position) for position in range(EACH * CHUNKS)] == given.lines
        assert len(given.reads) > CHUNKS

    with_input(scenario, Weather(refused=0.5))


def _remove(store: Store) -> None:
    del store.objects[chunk_path("try", 2)]


def _damage(store: Store) -> None:
    store.put(chunk_path("try", 2), b"not zstd")


def _shorten(store: Store) -> None:
    store.put(chunk_path("try", 2), encode([b"{}"]))


@pytest.mark.parametrize("spoil", [_remove, _damage, _shorten])
def test_a_chunk_that_is_not_what_the_plan_says_breaks_the_ledger(spoil: Callable[[Store], None]) -> None:
    async def scenario(given: Input) -> None:
        spoil(given.store)
        assert await given.records.line(EACH) == given.lines[EACH], "although the next chunk is fetched ahead"
        with pytest.raises(LedgerBroken, match="input/try/000002"):
            await given.records.line(2 * EACH)

    with_input(scenario)
