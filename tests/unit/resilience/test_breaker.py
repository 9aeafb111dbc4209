"""A server that does not answer holds one caller at a time, and what comes back is noticed."""

import asyncio
from collections.abc import Callable

import pytest

from splai.resilience.breaker import PAUSE_SECONDS, Breaker


class Away(Exception):
    """No answer; ``code`` is the server's word for it."""

    def __init__(self, message: str, *, code: str = "unreachable") -> None:
        super().__init__(message)
        self.code = code


class Server:
    """Asked through a breaker; each call does what the test says."""

    def __init__(self) -> None:
        self.now = 100.0
        self.asked = 0
        self.breaker = Breaker(Away, clock=lambda: self.now)

    def ask(
        self,
        failure: BaseException | None = None,
        *,
        seconds: float = 0.0,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        with self.breaker.asking():
            self.asked += 1
            self.now += seconds
            meanwhile()
            if failure:
                raise failure

    def is_told(self) -> Away:
        """What somebody hears who is not let through."""
        before = self.asked
        with pytest.raises(Away) as told:
            self.ask()
        assert self.asked == before
        return told.value


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def away(server: Server) -> Server:
    """One that has just not answered."""
    with pytest.raises(Away):
        server.ask(Away("no answer", code="timeout"), seconds=5)
    return server


def test_while_there_are_answers_everybody_asks(server: Server) -> None:
    server.ask()
    server.ask()

    assert server.asked == 2


def test_after_a_failure_the_others_are_told_of_it_at_once(away: Server) -> None:
    told = away.is_told()

    assert (str(told), told.code) == ("no answer", "timeout")


def test_after_a_pause_one_asks_and_what_it_hears_is_for_all(away: Server) -> None:
    away.now += PAUSE_SECONDS
    away.ask()
    away.ask()

    assert away.asked == 3


def test_while_one_asks_again_the_others_do_not_however_long_it_takes(away: Server) -> None:
    away.now += PAUSE_SECONDS
    with pytest.raises(Away):
        away.ask(Away("still no answer"), seconds=60, meanwhile=away.is_told)

    assert str(away.is_told()) == "still no answer"


def test_a_refusal_is_an_answer(away: Server) -> None:
    away.now += PAUSE_SECONDS
    with pytest.raises(PermissionError):
        away.ask(PermissionError("no right"))
    away.ask()

    assert away.asked == 3


def test_a_call_that_fails_while_others_are_answered_says_nothing_of_the_server(server: Server) -> None:
    with pytest.raises(Away):
        server.ask(Away("one folder is too large"), seconds=1, meanwhile=server.ask)

    server.ask()


def test_who_gives_up_leaves_the_question_to_the_next(away: Server) -> None:
    away.now += PAUSE_SECONDS
    with pytest.raises(asyncio.CancelledError):
        away.ask(asyncio.CancelledError())
    away.ask()

    assert away.asked == 3
