"""The gateway benchmark's arithmetic: percentiles, CPU and memory of processes, what counts as added, the ratios."""

import os
import subprocess
import sys

import pytest

from benchmarks.gateway import Figures, result, summary
from benchmarks.gateway_traffic import Report
from benchmarks.operator_process import cost, resident_mb

BURN = "import sys, time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\nsys.stdin.read()"


def report(latencies: list[int], failures: dict[str, int] | None = None) -> Report:
    return Report(len(latencies), 1.0, failures or {}, latencies, chunks=0, reads=0)


def run(p50: float, p99: float) -> Figures:
    return {"p50_ms": p50, "p99_ms": p99, "p50_ms_32": 10 * p50, "p99_ms_32": 10 * p99}


def test_percentiles_are_of_the_sorted_latencies_in_milliseconds() -> None:
    shuffled = report([*range(51_000, 101_000, 1000), *range(0, 51_000, 1000)])

    assert (shuffled.p50_ms, shuffled.p99_ms) == (50.0, 99.0)


def test_one_slow_reply_of_two_hundred_is_not_the_p99() -> None:
    assert report([1000] * 199 + [900_000]).p99_ms == 1.0


def test_replies_that_were_not_right_end_the_benchmark_and_say_why() -> None:
    report([1, 2]).require_all_right("ours")

    with pytest.raises(SystemExit, match=r"ours: of 2 replies some were wrong: \{'the stream lacks \[DONE\]': 1\}"):
        report([1, 2], {"the stream lacks [DONE]": 1}).require_all_right("ours")


def test_cpu_is_user_and_system_time_of_a_process_and_its_children() -> None:
    own = sum(os.times()[:2])
    with subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()

        together, alone = cost(os.getpid()).cpu_seconds, cost(child.pid).cpu_seconds
        child.communicate()

    assert alone >= 0.28  # ticks of 10 ms
    assert together >= own + alone - 0.02


def test_memory_is_the_resident_size_of_this_moment() -> None:
    before = resident_mb(os.getpid())

    held = bytearray(os.urandom(1 << 20) * 64)

    assert 60 <= resident_mb(os.getpid()) - before <= 70
    assert len(held) == 64 << 20


def test_added_latency_is_compared_within_a_round() -> None:
    direct = [run(1, 2), run(5, 9), run(2, 3)]
    through = [run(2, 4), run(6, 12), run(9, 20)]

    found = summary(through, direct)

    assert (found["added_p50_ms"], found["added_p99_ms"]) == (1, 3)
    assert (found["added_p50_ms_32"], found["added_p99_ms_32"]) == (10, 30)
    assert found["p50_ms"] == 6


def test_ours_has_the_plain_names_and_the_ratios_are_of_cpu() -> None:
    found = result(
        {
            "ours": {"cpu_us_per_request": 100.0},
            "router": {"cpu_us_per_request": 200.0},
            "litellm": {"cpu_us_per_request": 9000.0},
        }
    )

    assert found == {
        "cpu_us_per_request": 100.0,
        "router_cpu_us_per_request": 200.0,
        "litellm_cpu_us_per_request": 9000.0,
        "cpu_of_router": 0.5,
        "litellm_cpu_of_ours": 90.0,
    }


def test_without_peers_there_are_no_ratios() -> None:
    assert result({"ours": {"cpu_us_per_request": 100.0}}) == {"cpu_us_per_request": 100.0}
