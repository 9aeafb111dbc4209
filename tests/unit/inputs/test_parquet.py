"""Rows are JSON: what has no JSON type becomes text, and validation sees what the engine will."""

import datetime as dt
import errno
import gzip
import io
import json
import tracemalloc
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splai.api.ledger import InputManifest, Validation
from splai.core.inferencejob.line_formats import Entry, Fault
from splai.core.inferencejob.lines import Unreadable
from splai.inputs import parquet
from splai.inputs.errors import SourceUnavailable
from tests.unit.inputs.reading_site import MemoryChunks, memory_file, read


def write(table: pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


def rows(content: bytes) -> list[dict[str, Any]]:
    entries = list(parquet.rows(parquet.spooled([content])))
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    assert all(isinstance(entry, Entry) and json.loads(entry.json) == entry.record for entry in entries), entries
    return [entry.record for entry in entries if isinstance(entry, Entry)]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
RECORD = st.fixed_dictionaries(
    {
        "text": TEXTS,
        "number": st.none() | st.integers(-(2**63), 2**63 - 1),
        "share": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "flag": st.booleans(),
        "tags": st.lists(TEXTS, max_size=3),
        "nested": st.fixed_dictionaries({"a": st.none() | TEXTS}),
    }
)
SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("number", pa.int64()),
        ("share", pa.float64()),
        ("flag", pa.bool_()),
        ("tags", pa.list_(pa.string())),
        ("nested", pa.struct([("a", pa.string())])),
    ]
)


@given(st.lists(RECORD, max_size=20), st.integers(1, 7))
def test_records_are_read_as_they_were_written(records: list[dict[str, Any]], group: int) -> None:
    assert rows(write(pa.Table.from_pylist(records, SCHEMA), row_group_size=group)) == records


LONG_TEXT = "question" * 1000
LEAST_DECODED = 1000 * len(LONG_TEXT)
MOMENT = dt.datetime.fromisoformat("2026-01-02T03:04:05.678901")


@pytest.mark.parametrize(
    ("column", "want"),
    [
        (pa.array([MOMENT], pa.timestamp("us")), "2026-01-02T03:04:05.678901"),
        (pa.array([MOMENT], pa.timestamp("ns", "UTC")), "2026-01-02T03:04:05.678901+00:00"),
        (pa.array([1_000_000_001], pa.timestamp("ns")), "1970-01-01T00:00:01"),
        (pa.array([[1_000_000_001]], pa.list_(pa.timestamp("ns"))), ["1970-01-01T00:00:01"]),
        (pa.array([{"a": 1_000_000_001}], pa.struct([("a", pa.timestamp("ns"))])), {"a": "1970-01-01T00:00:01"}),
        (pa.array([1_001], pa.time64("ns")), "00:00:00.000001"),
        (pa.array([MOMENT.date()]), "2026-01-02"),
        (pa.array([dt.timedelta(seconds=90)], pa.duration("ns")), 90.0),
        (pa.array([Decimal("1.50")]), "1.50"),
        (pa.array([b"\xff\x00"]), "/wA="),
        (pa.array([float("nan")]), None),
        (pa.array([[float("inf"), 1.5]]), [None, 1.5]),
        (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), {"a": 1}),
        (pa.array([[(1, "a")]], pa.map_(pa.int64(), pa.string())), {"1": "a"}),
        (pa.array(["a"]).dictionary_encode(), "a"),
        (pa.array([1.5], pa.float16()), 1.5),
        (pa.array([None], pa.null()), None),
    ],
)
def test_every_type_has_a_json_value(column: Any, want: Any) -> None:
    assert rows(write(pa.table({"a": column}))) == [{"a": want}]


def test_wide_rows_are_read_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    table = pa.table({"a": [f"{number:04d}" * 500_000 for number in range(16)]})
    content = write(table, compression="none", use_dictionary=False)

    class Counting(pq.ParquetFile):  # type: ignore[misc]
        def iter_batches(self, *arguments: Any, **options: Any) -> Any:
            for batch in super().iter_batches(*arguments, **options):
                sizes.append(batch.num_rows)
                yield batch

    monkeypatch.setattr(pq, "ParquetFile", Counting)
    assert len(rows(content)) == 16
    assert max(sizes) <= 4


@pytest.mark.parametrize(
    "column",
    [
        pa.array([LONG_TEXT] * 1000),
        pa.array([LONG_TEXT.encode()] * 1000),
        pa.array([LONG_TEXT] * 1000, pa.large_string()),
        pa.array([LONG_TEXT] * 1000).dictionary_encode(),
        pa.array([["question" * 10] * 100] * 1000),
        pa.array([{"a": LONG_TEXT, "b": 1}] * 1000),
        pa.array([[("a", LONG_TEXT)]] * 1000, pa.map_(pa.string(), pa.string())),
        pa.array([[0] * 300] * 1000),
    ],
    ids=["text", "bytes", "large text", "category", "list", "struct", "map", "numbers"],
)
def test_a_value_that_the_file_holds_once_is_not_in_memory_a_thousand_times(
    monkeypatch: pytest.MonkeyPatch, column: Any
) -> None:
    monkeypatch.setattr(parquet, "_BATCH_BYTES", LEAST_DECODED // 32)
    content = write(pa.table({"a": column}), row_group_size=1000, compression="zstd")
    assert len(content) < LEAST_DECODED // 50
    before = pa.total_allocated_bytes()
    arrow = 0
    tracemalloc.start()
    try:
        for entry in parquet.rows(parquet.spooled([content])):
            assert isinstance(entry, Entry), entry
            arrow = max(arrow, pa.total_allocated_bytes() - before)
        python = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert entry.number == 1000
    assert max(arrow, python) < LEAST_DECODED // 4


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b'{"text": "a"}'])
def test_what_is_no_parquet_file_is_refused(content: bytes) -> None:
    with pytest.raises(Unreadable, match="not a Parquet file"):
        rows(content)


def test_a_damaged_row_group_is_told_by_its_number() -> None:
    content = bytearray(write(pa.table({"a": [str(n) for n in range(1000)]}), row_group_size=500, compression="zstd"))
    middle = content.index(b"\x28\xb5\x2f\xfd", len(content) // 3)
    content[middle : middle + 40] = bytes(40)
    with pytest.raises(Unreadable, match=r"damaged in row group \d"):
        rows(bytes(content))


def no_utf8(*texts: bytes) -> Any:
    """A column of texts that some other writer did not check."""
    binary = pa.array(texts, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(binary), binary.buffers())


@pytest.mark.parametrize(
    ("column", "want"),
    [
        (no_utf8(b"a", b"\xff", b"c"), "holds a text that is not valid UTF-8"),
        (pa.array([0, 10**7, 1], pa.date32()), "holds a date, a time or a duration that is out of range"),
        (pa.array([0, -(10**18), 1], pa.timestamp("us")), "holds a date, a time or a duration that is out of range"),
        (pa.array([0, 10**18, 1], pa.duration("s")), "holds a date, a time or a duration that is out of range"),
    ],
)
@pytest.mark.parametrize("use_dictionary", [True, False])
def test_a_row_that_python_cannot_hold_is_told_by_its_number_and_spoils_no_other(
    column: Any, want: str, use_dictionary: bool
) -> None:
    content = write(pa.table({"a": column}), use_dictionary=use_dictionary)
    first, second, third = parquet.rows(parquet.spooled([content]))
    assert second == Fault(2, want)
    assert [(type(entry), entry.number) for entry in (first, third)] == [(Entry, 1), (Entry, 3)]


class FailingDevice(io.BytesIO):
    """A file that cannot be read any more from its middle on."""

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        if len(self.getbuffer()) // 3 < self.tell() < len(self.getbuffer()) // 2:
            raise OSError(errno.ESTALE, "secret")
        return content


def test_a_device_that_fails_may_work_again() -> None:
    content = write(pa.table({"a": [str(n) for n in range(100_000)]}), row_group_size=1000)
    with pytest.raises(SourceUnavailable, match=r"^pvc://data/a cannot be read: Stale file handle$"):
        list(parquet.rows(FailingDevice(content), "pvc://data/a"))


def test_a_file_that_cannot_be_opened_may_be_opened_later(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"^pvc://data/a cannot be read: No such file or directory$"):
        list(parquet.rows(tmp_path / "absent", "pvc://data/a"))


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(Unreadable, match="two columns have one name"):
        rows(write(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])))


def test_rows_have_numbers_instead_of_lines() -> None:
    result = read(memory_file(write(pa.table({"text": ["a", "", "c"]})), "a"))
    assert isinstance(result, Validation)
    assert result.problems == ["record 2 (row 2): text is empty"]


@pytest.mark.parametrize(("name", "wanted"), [("a", "auto"), ("a.jsonl", "auto"), ("a.csv", "parquet")])
def test_a_parquet_file_is_recognised_by_its_first_bytes(name: str, wanted: str) -> None:
    store = MemoryChunks()
    content = write(pa.table({"text": ["a", "b"], "custom_id": ["x", "y"], "body": ["1", "2"]}))
    manifest = read(memory_file(content, name), store=store, source={"format": wanted})
    assert isinstance(manifest, InputManifest)
    assert manifest.format == "jsonl"
    assert [json.loads(line)["text"] for line in store.lines(manifest)] == ["a", "b"]


def test_a_file_that_lies_on_a_volume_is_read_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(write(pa.table({"text": ["a", "b"]})))
    monkeypatch.setattr(parquet, "spooled", None)
    manifest = read(memory_file(path.read_bytes(), path=path))
    assert isinstance(manifest, InputManifest)
    assert manifest.sources[0].bytes == path.stat().st_size


def test_a_compressed_parquet_file_is_unpacked_first(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet.gz"
    path.write_bytes(gzip.compress(write(pa.table({"text": ["a"]}))))
    assert isinstance(read(memory_file(path.read_bytes(), path=path)), InputManifest)
