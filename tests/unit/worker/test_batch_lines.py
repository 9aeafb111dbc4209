"""Lines in the format of the OpenAI Batch API."""

import json

from splai.worker.batch_lines import answer_line, error_line, failure_line, line_id
from splai.worker.outcome import Answer, NoAnswer


def test_an_answer_is_embedded_as_it_came() -> None:
    body = '{"n": 1.10, "text": "é \\ud800"}'.encode()
    line = answer_line("batch_req_1", 'my "id"', Answer(200, body, "req-7"))
    assert body in line
    parsed = json.loads(line)
    assert parsed["id"] == "batch_req_1"
    assert parsed["custom_id"] == 'my "id"'
    assert parsed["error"] is None
    assert (parsed["response"]["status_code"], parsed["response"]["request_id"]) == (200, "req-7")


def test_a_pretty_printed_answer_becomes_one_line() -> None:
    body = json.dumps({"text": "two\nlines", "list": [1, 2]}, indent=2).replace("\n", "\r\n").encode() + b"\n"
    line = answer_line("i", "c", Answer(200, body))
    assert b"\n" not in line
    assert b"\r" not in line
    assert json.loads(line)["response"]["body"] == {"text": "two\nlines", "list": [1, 2]}


def test_an_http_error_keeps_its_status_and_body_and_error_is_null() -> None:
    body = {"error": {"message": "too long", "code": "context_length_exceeded"}}
    line = json.loads(failure_line("i", "c", Answer(400, json.dumps(body).encode())))
    assert line["response"] == {"status_code": 400, "request_id": "", "body": body}
    assert line["error"] is None


def test_an_error_page_is_quoted_and_cut() -> None:
    line = json.loads(failure_line("i", "c", Answer(500, b"<html>" + b"x" * 100_000)))
    message = line["response"]["body"]["error"]["message"]
    assert message.startswith("<html>xxx")
    assert len(message) == 1000


def test_a_record_without_response_has_an_error() -> None:
    line = json.loads(failure_line("i", "c", NoAnswer("request_timeout", "No answer within 5 seconds.")))
    assert line == {
        "id": "i",
        "custom_id": "c",
        "response": None,
        "error": {"code": "request_timeout", "message": "No answer within 5 seconds."},
    }
    assert (
        json.loads(error_line("i", "c", code="batch_cancelled", message="m" * 9999))["error"]["message"] == "m" * 1000
    )


def test_a_lines_id_depends_on_job_and_position_alone() -> None:
    assert line_id("uid", 3) == line_id("uid", 3)
    assert len({line_id("uid", 3), line_id("uid", 4), line_id("other", 3)}) == 3
    assert line_id("uid", 3).startswith("batch_req_")
