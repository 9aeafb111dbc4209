"""The model of a document is found and replaced on its bytes, exactly where a parser would find it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splai.gateway.inference.model_field import has_model, with_model

KEYS = ["model", "a", '"', "é", 'x"model', '"model"', "model\\", '\\"model']
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["model", '"model":"x"', "\\", '\\"model']),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=12,
)


@given(
    members=st.dictionaries(st.sampled_from([key for key in KEYS if key != "model"]), JSON_VALUES),
    model=st.text(),
    first=st.booleans(),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_only_the_top_level_model_changes(
    members: dict[str, Any], model: str, first: bool, ascii_only: bool, indent: int | None
) -> None:
    document = {"model": model, **members} if first else {**members, "model": model}

    changed = with_model(json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode(), b"served-id")

    assert json.loads(changed) == {**document, "model": "served-id"}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(b'{"model":"a","x":1e5}', b'{"model":"b","x":1e5}', id="other bytes stay"),
        pytest.param(b'{ "x" : 1 , "model" :\n "a" }', b'{ "x" : 1 , "model" :\n "b" }', id="spaces stay"),
        pytest.param(b'{"model":"a","model":"c"}', b'{"model":"b","model":"b"}', id="a key that is there twice"),
        pytest.param(b'{"a":{"model":"a"}}', b'{"a":{"model":"a"}}', id="a nested one is somebody else's"),
        pytest.param(b'{"object":"model"}', b'{"object":"model"}', id="a value is no key"),
        pytest.param(b'{"model":null}', b'{"model":null}', id="no string"),
        pytest.param(b"[]", b"[]", id="no object"),
    ],
)
def test_replacing(document: bytes, expected: bytes) -> None:
    assert with_model(document, b"b") == expected


def test_a_document_without_model_is_returned_as_it_is() -> None:
    document = b'{"choices":[]}'

    assert with_model(document, b"b") is document


@pytest.mark.parametrize("document", [b'{"model":"llama3.1:8b"}', b'{"model": "llama3.1:8b"}'])
def test_the_wanted_model_is_recognised_as_writers_write_it(document: bytes) -> None:
    assert has_model(document, b"llama3.1:8b")
    assert not has_model(document, b"llama3.1:8")
