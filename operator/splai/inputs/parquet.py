"""Rows of a Parquet file as records; pyarrow is imported only by who meets such a file.

What JSON has no type for becomes text: dates and times in ISO 8601, decimals in digits, bytes in base64. A duration is
a number of seconds. A floating-point number that is none (NaN, infinity) becomes null, as most writers mean it.
"""

import base64
import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from uuid import UUID

from splai.core.inferencejob.line_formats import Entry, Fault, parse, to_json
from splai.core.inferencejob.lines import LONGEST_RECORD, Unreadable
from splai.inputs.errors import SourceUnavailable

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MAGIC: Final = b"PAR1"
_BATCH_BYTES: Final = 8 * 1024 * 1024
_MOST_ROWS: Final = 4096
_NUMBER_BYTES: Final = 8
_DICTIONARIES: Final = frozenset({"PLAIN_DICTIONARY", "RLE_DICTIONARY"})
_NO_JSON: Final = "holds a value that JSON cannot say"


def spooled(blocks: Iterable[bytes]) -> IO[bytes]:
    """A file of its own for bytes that come as a stream: Parquet is read from its end. It is gone once it is closed."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - its reader closes it
    try:
        for block in blocks:
            file.write(block)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def rows(source: Path | IO[bytes], name: str = "the Parquet file") -> Iterator[Entry | Fault]:
    """The records of a file, numbered from 1; raises Unreadable for what is no Parquet file, and SourceUnavailable."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def opened(**options: Any) -> Any:
        try:
            return pq.ParquetFile(source, pre_buffer=False, buffer_size=1024 * 1024, **options)
        except (pa.ArrowException, OSError) as error:
            raise _read_failure(error, name, "not a Parquet file, or a damaged one") from None

    with nullcontext() if isinstance(source, Path) else source:
        file = opened()
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise Unreadable("two columns have one name")
        if repeated := _columns_of_repeated_texts(file.metadata):
            file = opened(metadata=file.metadata, read_dictionary=repeated)
        number = 0
        for batch in _batches(file, name):
            for row in _values(batch):
                number += 1
                yield Fault(number, row) if isinstance(row, str) else _entry(number, row)


def _batches(file: Any, name: str) -> Iterator["pa.RecordBatch"]:
    """All rows, as many at a time as fit into a few MiB once each has its values to itself."""
    import pyarrow as pa

    schema = file.schema_arrow
    plain = pa.schema([field.with_type(_plain_type(field.type)) for field in schema])
    for group in range(file.metadata.num_row_groups):
        size = max(1, min(_MOST_ROWS, _BATCH_BYTES // _row_bytes(file.metadata.row_group(group))))
        try:
            for batch in file.iter_batches(batch_size=size, row_groups=[group], use_threads=False):
                for piece in _pieces(batch):
                    yield piece if plain == schema else piece.cast(plain, safe=False)
        except (pa.ArrowException, OSError) as error:
            raise _read_failure(error, name, f"the Parquet file is damaged in row group {group + 1}") from None


def _read_failure(error: Exception, name: str, damage: str) -> SourceUnavailable | Unreadable:
    """Arrow calls damage an OSError too, but only the operating system's own has a number: the device may recover."""
    if isinstance(error, OSError) and error.errno:
        return SourceUnavailable(f"{name} cannot be read: {os.strerror(error.errno)}")
    return Unreadable(damage)


def _columns_of_repeated_texts(metadata: "pq.FileMetaData") -> list[str]:
    """Those of which a value that comes again takes no room in the file: it must take none in memory either."""
    groups = range(metadata.num_row_groups)
    return [
        metadata.schema.column(column).path
        for column in range(metadata.num_columns)
        if metadata.schema.column(column).physical_type == "BYTE_ARRAY"
        and metadata.schema.column(column).logical_type.type != "DECIMAL"
        and any(_DICTIONARIES.intersection(metadata.row_group(group).column(column).encodings) for group in groups)
    ]


def _row_bytes(group: "pq.RowGroupMetaData") -> int:
    """About what a row of the group takes in memory, where even a number that comes again is one more number."""
    columns = (group.column(number) for number in range(group.num_columns))
    size = sum(max(column.total_uncompressed_size, _NUMBER_BYTES * column.num_values) for column in columns)
    return int(size // max(1, group.num_rows) + 1)


def _pieces(batch: "pa.RecordBatch") -> Iterator["pa.RecordBatch"]:
    """The batch, halved until a part is small enough or a single row."""
    if sum(map(_plain_bytes, batch.columns)) <= _BATCH_BYTES or batch.num_rows < 2:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _pieces(batch.slice(0, half))
    yield from _pieces(batch.slice(half))


def _plain_bytes(array: "pa.Array") -> int:
    """What an array takes once every value stands for itself, and not only once in a dictionary."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_dictionary(kind):
        if not (pa.types.is_string(kind.value_type) or pa.types.is_binary(kind.value_type)):
            return _NUMBER_BYTES * len(array)
        return pc.sum(pc.binary_length(array.dictionary).take(array.indices)).as_py() or 0
    if pa.types.is_struct(kind):
        return sum(map(_plain_bytes, array.flatten()))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        first, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
        return _plain_bytes(array.values.slice(first, end - first))
    return int(array.nbytes)


def _values(batch: "pa.RecordBatch") -> Iterator[dict[str, Any] | str]:
    """Each row, or what is wrong with it; one that Python cannot hold spoils no other."""
    try:
        yield from batch.to_pylist(maps_as_pydicts="lossy")
    except (ValueError, OverflowError):
        for number in range(batch.num_rows):
            try:
                yield batch.slice(number, 1).to_pylist(maps_as_pydicts="lossy")[0]
            except UnicodeDecodeError:
                yield "holds a text that is not valid UTF-8"
            except OverflowError:
                yield "holds a date, a time or a duration that is out of range"
            except ValueError:
                yield _NO_JSON


def _plain_type(kind: "pa.DataType") -> "pa.DataType":
    """What Python converts fast: only of a list Arrow would make all that a batch holds, whatever part it is given."""
    import pyarrow as pa

    return _microseconds(kind.value_type if pa.types.is_dictionary(kind) else kind)


def _microseconds(kind: "pa.DataType") -> "pa.DataType":
    """The type with times in microseconds, as Python has them, instead of nanoseconds."""
    import pyarrow as pa

    types = pa.types
    if types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if types.is_time64(kind) and kind.unit == "ns":
        return pa.time64("us")
    if types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    if types.is_struct(kind):
        return pa.struct([field.with_type(_microseconds(field.type)) for field in kind])
    if types.is_map(kind):
        return pa.map_(_microseconds(kind.key_type), _microseconds(kind.item_type))
    if types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_microseconds(kind.value_type)))
    if types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_microseconds(kind.value_type)))
    return kind


def _entry(number: int, row: dict[str, Any]) -> Entry | Fault:
    try:
        line = _to_json(row)
        record = parse(line)  # as the engine will see it: keys of maps are texts
    except (TypeError, ValueError, RecursionError):
        return Fault(number, _NO_JSON)
    if len(line) > LONGEST_RECORD:
        return Fault(number, f"longer than {LONGEST_RECORD >> 20} MiB as JSON")
    return Entry(number, record, line)


def _to_json(row: dict[str, Any]) -> bytes:
    try:
        return to_json(row)
    except (TypeError, ValueError):
        return to_json(_json_value(row))


def _json_value(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {
                key if isinstance(key, str) else str(_json_value(key)): _json_value(it) for key, it in value.items()
            }
        case list() | tuple():
            return [_json_value(it) for it in value]
        case bytes():
            return base64.b64encode(value).decode()
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal() | UUID():
            return str(value)
        case _:
            raise TypeError(type(value).__name__)
