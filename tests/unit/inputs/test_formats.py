"""Any records, in any format and compression, are the records of the job."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from splai.api.ledger import InputManifest
from tests.unit.inputs.reading_site import MemoryChunks, memory_file, read

TEXTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0\ufeff")).filter(str.strip), min_size=1
)


def as_csv(texts: Sequence[str]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows([["text"], *([text] for text in texts)])
    return file.getvalue()


WRITERS: dict[str, Callable[[Sequence[str]], str]] = {
    "a.jsonl": lambda texts: "\n".join(json.dumps({"text": text}, ensure_ascii=False) for text in texts),
    "a.csv": as_csv,
    "a.txt": "\r\n".join,
}
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("ending", COMPRESSORS)
@pytest.mark.parametrize("name", WRITERS)
@given(TEXTS)
def test_a_file_is_read_by_its_name_and_first_bytes(name: str, ending: str, texts: list[str]) -> None:
    content = COMPRESSORS[ending](WRITERS[name](texts).encode())
    store = MemoryChunks()
    manifest = read(memory_file(content, name + ending), store=store)
    assert isinstance(manifest, InputManifest)
    assert [json.loads(line) for line in store.lines(manifest)] == [{"text": text} for text in texts]


@pytest.mark.parametrize("name", WRITERS)
def test_what_the_spec_says_counts_more_than_a_name(name: str) -> None:
    store = MemoryChunks()
    manifest = read(memory_file("a,b", name), store=store, source={"format": "text"})
    assert isinstance(manifest, InputManifest)
    assert store.lines(manifest) == [b'{"text":"a,b"}']


def test_what_the_source_knows_counts_more_than_a_name() -> None:
    assert isinstance(read(memory_file('{"text": "a"}', "a.csv", format="jsonl")), InputManifest)


def test_a_name_without_a_compressions_ending_may_be_compressed() -> None:
    assert isinstance(read(memory_file(gzip.compress(b"text\na\n"), "a.csv")), InputManifest)
