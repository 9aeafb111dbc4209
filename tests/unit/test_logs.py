"""What every process writes to its standard output."""

import json
import logging
from collections.abc import Iterator

import pytest

from splai.logs import TALKATIVE, configure_logging, origin


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The loggers are the test process's own: they get back what they had."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    for handler in handlers:
        root.removeHandler(handler)  # else they would be closed
    yield
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_line_is_one_json_object_with_its_facts_as_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("worker", level="info")

    logging.getLogger("splai.worker").info("draining", extra={"in_flight": 3})
    logging.getLogger("splai.worker").debug("not at this level")

    (line,) = capsys.readouterr().out.splitlines()
    fields = json.loads(line)
    assert fields.pop("time")
    assert fields == {
        "component": "worker",
        "level": "INFO",
        "logger": "splai.worker",
        "message": "draining",
        "in_flight": 3,
    }


@pytest.mark.parametrize("name", ["httpx", "aiohttp.access", "kopf.activities.probe"])
def test_libraries_do_not_tell_every_request(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("operator", level="DEBUG")

    logging.getLogger(name).info("GET /healthz 200")
    logging.getLogger(name).warning("something is wrong")

    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["message"] == "something is wrong"


def test_a_level_that_does_not_exist_is_refused_by_the_variables_name() -> None:
    with pytest.raises(SystemExit, match=r"SPLAI_LOG_LEVEL must be one of .*, not 'loud'"):
        configure_logging("gateway", level="loud")


def test_an_exceptions_words_are_not_logged_and_its_place_is() -> None:
    try:
        int("a user's prompt")
    except ValueError as error:
        facts = origin(error)

    assert facts["error"] == "ValueError"
    assert "test_logs.py" in facts["traceback"]
    assert "invalid literal" not in str(facts)
