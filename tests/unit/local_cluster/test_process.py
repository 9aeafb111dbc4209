"""Processes are told apart by pid and start time, so that a foreign process is never signalled."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from local_cluster.errors import ClusterError
from local_cluster.process import Identity, Process

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    process = Process("sleeper", SLEEP, tmp_path, outlive=False)
    process.start()
    yield process
    process.stop()


def own_identity() -> Identity:
    identity = Identity.of(os.getpid())
    assert identity is not None
    return identity


def pid(process: Process) -> int:
    identity = process.identity
    assert identity is not None
    return identity.pid


def test_a_process_is_alive_while_pid_start_time_and_boot_are_its_own() -> None:
    identity = own_identity()

    assert identity.alive()
    assert not replace(identity, started=identity.started - 1).alive()
    assert not replace(identity, boot="another boot").alive()


def test_a_pid_that_nobody_has_names_no_process() -> None:
    assert Identity.of(2**22 + 1) is None


def test_another_object_finds_a_running_program_by_its_state_file(sleeper: Process, tmp_path: Path) -> None:
    found = Process("sleeper", SLEEP, tmp_path, outlive=False)

    assert found.identity == sleeper.identity


def test_starting_what_runs_changes_nothing(sleeper: Process) -> None:
    before = pid(sleeper)

    sleeper.start()

    assert pid(sleeper) == before


def test_another_command_line_starts_the_program_anew(sleeper: Process, tmp_path: Path) -> None:
    before = pid(sleeper)
    changed = Process("sleeper", [*SLEEP, "changed"], tmp_path, outlive=False)

    changed.start()

    try:
        assert pid(changed) != before
    finally:
        changed.stop()


def test_a_stopped_program_is_gone_and_forgotten(sleeper: Process, tmp_path: Path) -> None:
    identity = sleeper.identity
    assert identity is not None

    sleeper.stop()

    assert not identity.alive()
    assert Process.recorded(tmp_path) == []


def test_a_killed_program_can_be_started_again(sleeper: Process) -> None:
    before = pid(sleeper)

    sleeper.kill()
    sleeper.start()

    assert pid(sleeper) != before


@pytest.mark.parametrize("ends_after", [signal.SIGTERM, signal.SIGKILL])
def test_a_program_that_ends_just_before_it_is_killed_is_no_error(
    sleeper: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends_after: signal.Signals
) -> None:
    kill = os.kill

    def too_late(number: int, sign: int) -> None:
        if sign == ends_after:
            kill(number, signal.SIGKILL)
            raise ProcessLookupError(3, "No such process")

    monkeypatch.setattr(os, "kill", too_late)
    monkeypatch.setattr("local_cluster.process._STOP_SECONDS", 0.0)  # so that the second kill comes, and at once

    sleeper.stop()

    assert not sleeper.running
    assert Process.recorded(tmp_path) == []


def test_a_stale_state_file_with_the_pid_of_somebody_else_stops_nobody(tmp_path: Path) -> None:
    stale = replace(own_identity(), started=1)
    state = tmp_path / "run" / "sleeper.json"
    state.parent.mkdir()
    state.write_text(json.dumps({"identity": asdict(stale), "command": list(SLEEP)}))

    Process("sleeper", SLEEP, tmp_path, outlive=False).stop()

    assert own_identity().alive()


def test_a_half_written_state_file_means_that_nothing_runs(tmp_path: Path) -> None:
    state = tmp_path / "run" / "sleeper.json"
    state.parent.mkdir()
    state.write_text('{"identity": {"pid": 1')

    assert not Process("sleeper", SLEEP, tmp_path, outlive=False).running


def test_the_end_of_the_log_is_at_hand_for_error_messages(tmp_path: Path) -> None:
    process = Process("speaker", ("no-such-command",), tmp_path, outlive=False)
    process.log.parent.mkdir()
    process.log.write_text("the port is in use\n")

    assert process.last_words().startswith("the port is in use")


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no-such-command"):
        Process("missing", ("no-such-command",), tmp_path, outlive=True).start()
