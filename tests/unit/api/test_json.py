"""JSON as every part of SPLAI reads and writes it."""

import pytest

from splai.api.json import compact_text, decode_strict, encode_compact


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_only_python_takes_for_json_is_refused(constant: str) -> None:
    with pytest.raises(ValueError, match=f"{constant} is not a JSON number"):
        decode_strict(f'{{"a": {constant}}}')


@pytest.mark.parametrize("value", [{"a": [1, "ä", None]}, "\ud800 half a pair", {"line": "a\nb"}])
def test_what_is_written_is_one_line_without_spaces_and_is_read_again(value: object) -> None:
    for text in (encode_compact(value).decode("ascii"), compact_text(value)):
        assert decode_strict(text) == value
        assert "\n" not in text
        assert ": " not in text


def test_a_text_shows_its_characters() -> None:
    assert compact_text(["ä"]) == '["ä"]'
