"""A worker that stands still is ended."""

import threading

from splai.worker.watchdog import Watchdog, still_limit


def test_the_limit_is_twice_the_request_timeout_and_a_minute() -> None:
    assert still_limit(600) == 1260


def test_a_store_may_take_minutes_for_a_file_however_short_requests_are() -> None:
    assert still_limit(10) == 360


def test_a_pulse_starts_the_time_anew() -> None:
    now = 0.0
    watchdog = Watchdog(limit=100, on_still=lambda _: None, clock=lambda: now)
    now = 100.0
    assert not watchdog.is_still()
    now = 100.1
    assert watchdog.is_still()
    watchdog.pulse()
    assert not watchdog.is_still()


def test_it_gives_up_once_although_the_main_thread_is_stuck() -> None:
    gave_up = threading.Event()
    watchdog = Watchdog(limit=0.02, on_still=lambda _: gave_up.set())
    watchdog.start()
    assert gave_up.wait(5)


def test_a_stopped_watchdog_is_silent() -> None:
    gave_up = threading.Event()
    watchdog = Watchdog(limit=0.02, on_still=lambda _: gave_up.set())
    watchdog.stop()
    watchdog.start()
    assert not gave_up.wait(0.1)
