"""From the bytes of a file to its records: decompressed, its format found out, and read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from splai.api.job_input import InputFormat
from splai.core.inferencejob.line_formats import Entry, Fault, read_lines
from splai.core.inferencejob.lines import split_lines
from splai.core.inferencejob.records import format_of_name
from splai.inputs import parquet
from splai.inputs.compression import decompressed, peek
from splai.inputs.source import Account, SourceFile


@dataclass(frozen=True)
class FileRecords:
    """The records of a file; iterating raises what the source does, and Unreadable."""

    format: InputFormat
    wanted: InputFormat  # before anything was guessed
    entries: Iterator[Entry | Fault]

    @property
    def unit(self) -> Literal["line", "row"]:
        """What an entry's number counts."""
        return "row" if self.format == "parquet" else "line"

    @property
    def is_json(self) -> bool:
        """Whether a record may be a request in OpenAI Batch format."""
        return self.format in ("jsonl", "openai-batch", "auto")


def open_records(file: SourceFile, account: Account, wanted: InputFormat) -> FileRecords:
    """Begin to read a file, whose format is ``wanted``, or told by the source, its first bytes or its name."""
    wanted = file.format if wanted == "auto" else wanted
    is_compressed, blocks = decompressed(account.blocks)
    magic, blocks = peek(blocks, len(parquet.MAGIC))
    kind = wanted if wanted != "auto" else _guess(file.name, magic)
    if kind != "parquet":
        return FileRecords(kind, wanted, read_lines("jsonl" if kind == "auto" else kind, split_lines(blocks)))
    if file.path is not None and not is_compressed:
        account.read_elsewhere(file.path.stat().st_size)
        return FileRecords(kind, wanted, parquet.rows(file.path, file.uri))
    return FileRecords(kind, wanted, parquet.rows(parquet.spooled(blocks), file.uri))


def _guess(name: str, magic: bytes) -> InputFormat:
    return "parquet" if magic == parquet.MAGIC else format_of_name(name)
