"""An engine's last lines may stand in a status: few, printable, and without what looks like a credential."""

import pytest

from splai.core.modelbackend.last_words import CHARACTERS, last_words


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", ""),
        ("\n \n", ""),
        ("one\n\ntwo\nthree\nfour\n", "two | three | four"),
        ("\x1b[31merror:\x1b[0m no\ttab \x07", "error: no tab"),
        ("Traceback:\n  File x\nValueError: no such model", "Traceback: | File x | ValueError: no such model"),
    ],
)
def test_the_last_three_lines_on_one(log: str, words: str) -> None:
    assert last_words(log) == words


def test_of_a_long_line_the_end() -> None:
    words = last_words("begin " + "x" * 1000 + " end")
    assert len(words) == CHARACTERS
    assert words.startswith("…")
    assert words.endswith(" end")


@pytest.mark.parametrize(
    "line",
    [
        "unrecognized arguments: --api-key=SECRET99",
        "non-default args: {'api_key': 'SECRET99', 'port': 8000}",
        "Authorization: Bearer SECRET99",
        "HF_TOKEN=SECRET99",
        "llama-server: invalid value: --hf-token SECRET99",
        "cannot log in with hf_SECRET99SECRET99",
        "401 for https://user:SECRET99@example.com/x",
        "403 for https://bucket.example.com/x?X-Amz-Signature=SECRET99",
        "AKIASECRET99SECRET99 is not allowed",
    ],
)
def test_credentials_are_blotted_out(line: str) -> None:
    words = last_words(line)
    assert "SECRET99" not in words
    assert "***" in words


@pytest.mark.parametrize(
    "line",
    [
        "404 for https://example.com/org/model",
        "the maximum number of tokens that can be stored in KV cache (8192)",
        "tokens: 5",
    ],
)
def test_what_only_looks_alike_stays(line: str) -> None:
    assert last_words(line) == line
