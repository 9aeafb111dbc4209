"""Lanes: what is sent, what is counted as an attempt, and what stops everything."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from splai.api.inference_job import Prompt, Retry
from splai.api.ledger import WorkOrder
from splai.artifacts.part_lines import RecordLine, decode
from splai.worker.backend import Backend
from splai.worker.dispatch import Dispatcher
from splai.worker.ledger import Ledger
from splai.worker.outcome import Answer, NoAnswer, Reaction, Reset, Unreachable
from splai.worker.recorder import Recorder
from splai.worker.records import Records
from splai.worker.store import PatientFolder
from tests.unit.worker.simulated_store import SimulatedFolder, Store
from tests.unit.worker.simulation import answer, make_order
from tests.unit.worker.virtual_time import run

BUSY = Answer(503, b"")
GATEWAY_TIMEOUT = Answer(504, b"<html>Gateway Time-out</html>")


class Bench:
    """A dispatcher with a scripted engine; every request takes a second."""

    def __init__(self, order: WorkOrder) -> None:
        clock = asyncio.get_running_loop().time
        self.order = order
        self.store = Store()
        self.script: dict[str, list[Reaction]] = {}
        self.probe_failure = ""
        self.killer = ""  # the prompt at which the engine crashes half a second later
        self.lost = asyncio.Event()  # what is in flight
        self.deaf_until = 0.0
        self.sent: list[tuple[float, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.backend = Backend(self._probe, clock=clock, pulse=lambda: None, jitter=lambda: 1.0)
        folder = PatientFolder(SimulatedFolder(self.store), pulse=lambda: None)
        ledger = Ledger(folder, "me")
        self.recorder = Recorder(ledger, clock=clock, spawn=asyncio.create_task, on_commit=lambda _: None)
        self.dispatcher = Dispatcher(
            order,
            records=Records(folder, order),
            backend=self.backend,
            recorder=self.recorder,
            new_client=lambda: self,
            clock=clock,
            pulse=lambda: None,
            on_progress=lambda: None,
            jitter=lambda: 1.0,
        )
        background = [self.backend.watch(), *(self.dispatcher.lane() for _ in range(order.concurrency))]
        self.tasks = [asyncio.create_task(work) for work in background]

    def enqueue(self, *positions: int) -> None:
        for position in positions:
            task = self.recorder.open(self.order.tasks[position], 1)
            self.dispatcher.enqueue(task, [position])

    async def post(self, body: bytes, traceparent: bytes | None = None) -> Reaction:
        request = json.loads(body)
        prompt = request["messages"][-1]["content"]
        self.sent.append((asyncio.get_running_loop().time(), prompt))
        self.bodies.append(request)
        if prompt == self.killer:
            asyncio.get_running_loop().call_later(0.5, self._crash)
        try:
            async with asyncio.timeout(1):
                await self.lost.wait()
                return Reset()
        except TimeoutError:
            script = self.script.get(prompt)
            return script.pop(0) if script else answer(prompt)

    def _crash(self) -> None:
        self.lost.set()
        self.lost = asyncio.Event()

    async def close(self) -> None:
        """Nothing is open."""

    async def _probe(self) -> str:
        return "no answer in time" if asyncio.get_running_loop().time() < self.deaf_until else self.probe_failure

    def line(self, position: int) -> tuple[RecordLine, dict[str, Any]]:
        record = next(decode(self.store.objects[f"tasks/{position:04d}/1-0"]))
        return record, json.loads(record.line)

    @property
    def done(self) -> set[int]:
        return {int(path.split("/")[1]) for path in self.store.objects if path.endswith("commit")}


def on_the_bench(scenario: Callable[[Bench], Coroutine[Any, Any, None]], **changes: Any) -> None:
    async def main() -> None:
        retry = Retry(max_attempts=3, initial_backoff="10s", max_backoff="15s")
        bench = Bench(make_order(6, **{"retry": retry, **changes}))
        await scenario(bench)
        for task in bench.tasks:
            task.cancel()

    run(main())


def test_as_many_requests_are_in_flight_as_there_are_lanes() -> None:
    async def scenario(bench: Bench) -> None:
        bench.enqueue(*range(6))
        await asyncio.sleep(0.5)
        assert bench.dispatcher.in_flight == 3
        await asyncio.sleep(2)
        assert bench.done == set(range(6))
        assert bench.dispatcher.in_flight == 0

    on_the_bench(scenario)


def test_an_answer_becomes_an_output_line() -> None:
    async def scenario(bench: Bench) -> None:
        bench.enqueue(2)
        await asyncio.sleep(2)
        record, line = bench.line(2)
        assert (record.kind, record.attempts, line["custom_id"]) == ("output", 1, "record-3")
        assert line["response"]["body"]["choices"][0]["message"]["content"] == "question 2"
        assert bench.bodies == [
            {"temperature": 0, "messages": [{"role": "user", "content": "question 2"}], "model": "model"}
        ]

    on_the_bench(scenario, parameters={"temperature": 0})


def test_attempts_about_the_record_are_counted_and_backed_off() -> None:
    async def scenario(bench: Bench) -> None:
        bench.script["question 0"] = [Answer(500, b"oops"), Answer(408, b"")]
        bench.enqueue(0)
        await asyncio.sleep(40)
        assert [round(at) for at, _ in bench.sent] == [0, 11, 27]
        record, _ = bench.line(0)
        assert (record.kind, record.attempts) == ("output", 3)

    on_the_bench(scenario)


def test_the_last_attempt_becomes_an_error_line() -> None:
    async def scenario(bench: Bench) -> None:
        bench.script["question 0"] = [Answer(500, b"oops")] * 3
        bench.script["question 1"] = [NoAnswer("request_timeout", "No answer within 10 seconds.")] * 3
        bench.script["question 2"] = [Answer(200, b"not json")] * 3
        bench.enqueue(0, 1, 2)
        await asyncio.sleep(60)
        record, line = bench.line(0)
        assert (record.kind, record.attempts, line["response"]["status_code"]) == ("error", 3, 500)
        assert bench.line(1)[1]["error"]["code"] == "request_timeout"
        assert bench.line(2)[1]["error"]["code"] == "invalid_response"
        assert len(bench.sent) == 9

    on_the_bench(scenario)


def test_a_refusal_is_final() -> None:
    async def scenario(bench: Bench) -> None:
        bench.script["question 0"] = [Answer(400, b'{"error":{"message":"too long"}}')]
        bench.enqueue(0)
        await asyncio.sleep(60)
        assert len(bench.sent) == 1
        record, line = bench.line(0)
        assert (record.kind, line["response"]["status_code"]) == ("error", 400)

    on_the_bench(scenario)


@pytest.mark.parametrize("reaction", [BUSY, Answer(429, b"", retry_after=1.0), Unreachable("connection refused")])
def test_a_backend_that_is_away_costs_no_attempt_however_often(reaction: Reaction) -> None:
    async def scenario(bench: Bench) -> None:
        bench.script["question 0"] = [reaction] * 10
        bench.enqueue(0)
        await asyncio.sleep(200)
        record, _ = bench.line(0)
        assert (record.kind, record.attempts) == ("output", 1)
        assert len(bench.sent) == 11

    on_the_bench(scenario)


def test_nothing_is_sent_while_the_backend_is_away() -> None:
    async def scenario(bench: Bench) -> None:
        bench.enqueue(*range(6))
        bench.script = {f"question {number}": [BUSY] for number in range(3)}
        await asyncio.sleep(0.5)
        bench.probe_failure = "connection refused"
        await asyncio.sleep(300)
        assert len(bench.sent) == 3
        bench.probe_failure = ""
        await asyncio.sleep(30)
        assert bench.done == set(range(6))
        assert all(bench.line(number)[0].attempts == 1 for number in range(6))

    on_the_bench(scenario)


def test_a_timeout_while_the_backend_is_away_costs_no_attempt() -> None:
    async def scenario(bench: Bench) -> None:
        bench.script["question 0"] = [NoAnswer("request_timeout", "")]
        bench.enqueue(0)
        await asyncio.sleep(0.5)
        bench.probe_failure = "no answer in time"
        await asyncio.sleep(60)
        bench.probe_failure = ""
        await asyncio.sleep(60)
        assert bench.line(0)[0].attempts == 1

    on_the_bench(scenario)


@pytest.mark.parametrize("losses", [1, 3])
def test_resets_that_stop_cost_no_attempt(losses: int) -> None:
    async def scenario(bench: Bench) -> None:
        bench.script = {f"question {number}": [Reset()] * losses for number in range(6)}
        bench.enqueue(*range(6))
        await asyncio.sleep(60)
        records = [bench.line(number)[0] for number in range(6)]
        assert {(record.kind, record.attempts) for record in records} == {("output", 1)}

    on_the_bench(scenario)


def test_a_record_at_which_the_engine_crashes_fails_and_the_others_are_answered() -> None:
    async def scenario(bench: Bench) -> None:
        bench.killer = "question 1"
        bench.enqueue(*range(6))
        await asyncio.sleep(300)
        record, line = bench.line(1)
        assert (record.kind, record.attempts, line["error"]["code"]) == ("error", 3, "connection_reset")
        others = [bench.line(number)[0] for number in range(6) if number != 1]
        assert {(other.kind, other.attempts) for other in others} == {("output", 1)}
        assert [prompt for _, prompt in bench.sent].count("question 1") == 6, "three in company and three alone"

    on_the_bench(scenario)


def test_a_record_at_which_the_engine_hangs_fails_although_no_probe_is_answered_meanwhile() -> None:
    hang = NoAnswer("request_timeout", "No answer within 10 seconds.")

    async def scenario(bench: Bench) -> None:
        bench.script["question 0"] = [hang] * 20
        bench.enqueue(0)
        while asyncio.get_running_loop().time() < 300:
            await asyncio.sleep(0.1)
            if bench.dispatcher.in_flight:
                bench.deaf_until = asyncio.get_running_loop().time() + 0.5
        record, line = bench.line(0)
        assert (record.kind, record.attempts, line["error"]["code"]) == ("error", 3, "request_timeout")
        assert len(bench.sent) == 6

    on_the_bench(scenario)


def test_who_was_lost_in_company_is_sent_alone() -> None:
    async def scenario(bench: Bench) -> None:
        bench.script["question 0"] = [Reset()] * 4
        bench.enqueue(*range(3))
        await asyncio.sleep(3)
        bench.enqueue(*range(3, 6))
        await asyncio.sleep(60)
        others = [at for at, prompt in bench.sent if prompt != "question 0"]
        for alone in [at for at, prompt in bench.sent if prompt == "question 0"][3:]:
            assert all(abs(at - alone) >= 1 for at in others)
        assert bench.line(0)[0].attempts == 2
        assert bench.done == set(range(6))

    on_the_bench(scenario)


def test_a_record_that_only_a_proxy_answers_fails_and_the_others_are_answered() -> None:
    async def scenario(bench: Bench) -> None:
        bench.script["question 0"] = [GATEWAY_TIMEOUT] * 20
        bench.enqueue(*range(6))
        await asyncio.sleep(300)
        record, line = bench.line(0)
        assert (record.kind, record.attempts, line["response"]["status_code"]) == ("error", 3, 504)
        others = [bench.line(number)[0] for number in range(1, 6)]
        assert {(other.kind, other.attempts) for other in others} == {("output", 1)}
        prompts = [prompt for _, prompt in bench.sent]
        assert (prompts.count("question 0"), prompts.count("Hello")) == (6, 3), "three are free"

    on_the_bench(scenario)


@pytest.mark.parametrize("others", [1, 6])
def test_a_proxy_that_lists_models_while_the_engine_is_away_fails_no_record(others: int) -> None:
    async def scenario(bench: Bench) -> None:
        bench.script = {f"question {number}": [GATEWAY_TIMEOUT] * 30 for number in range(6)}
        bench.script["Hello"] = [Answer(502, b"")] * 100
        bench.enqueue(*range(others))
        await asyncio.sleep(300)
        assert len(bench.sent) > 15
        bench.script = {}
        await asyncio.sleep(60)
        records = [bench.line(number)[0] for number in range(others)]
        assert {(record.kind, record.attempts) for record in records} == {("output", 1)}

    on_the_bench(scenario)


def test_a_few_words_of_a_proxy_cost_no_attempt() -> None:
    async def scenario(bench: Bench) -> None:
        bench.script["question 0"] = [Answer(502, b"")] * 3
        bench.enqueue(0)
        await asyncio.sleep(60)
        assert bench.line(0)[0].attempts == 1
        assert len(bench.sent) == 4

    on_the_bench(scenario)


def test_records_in_backoff_do_not_block_the_lanes() -> None:
    async def scenario(bench: Bench) -> None:
        bench.script = {f"question {number}": [Answer(500, b"")] for number in range(3)}
        bench.enqueue(*range(6))
        await asyncio.sleep(3)
        assert bench.done == {3, 4, 5}

    on_the_bench(scenario)


def test_a_record_that_makes_no_request_is_an_error_line() -> None:
    async def scenario(bench: Bench) -> None:
        bench.enqueue(0)
        await asyncio.sleep(1)
        assert not bench.sent
        _, line = bench.line(0)
        assert line["error"]["code"] == "invalid_record"
        assert "question 0" not in line["error"]["message"]

    on_the_bench(scenario, prompt=Prompt(template="{{ absent }}"))


def test_more_is_wanted_until_all_lanes_are_busy_with_a_little_ahead() -> None:
    async def scenario(bench: Bench) -> None:
        assert bench.dispatcher.wanted == 4
        bench.enqueue(0, 1)
        assert bench.dispatcher.wanted == 2
        await asyncio.sleep(0.5)
        assert bench.dispatcher.wanted == 2
        await asyncio.sleep(1)
        assert bench.dispatcher.wanted == 4

    on_the_bench(scenario)


def test_draining_waits_for_what_is_in_flight_and_sends_nothing_more() -> None:
    async def scenario(bench: Bench) -> None:
        bench.enqueue(*range(6))
        await asyncio.sleep(0.5)
        await bench.dispatcher.drain()
        await bench.recorder.settle()
        await asyncio.sleep(10)
        assert bench.done == {0, 1, 2}
        assert len(bench.sent) == 3
        assert bench.dispatcher.wanted == 0

    on_the_bench(scenario)
