"""One pass over an input: every record is read, checked and put into a chunk.

The reading ends with an InputManifest when every record is good, or with a Validation that says what is wrong. All of
the input is looked at, so that the number of problems is exact; only chunks are no longer stored once there are as many
problems as are told. Duplicates are found at the end, see ``custom_ids``, and named after a second look at the chunks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

from splai.api.ledger import InputManifest, ReadingOrder, SourceIdentity, Validation
from splai.core.inferencejob.line_formats import Entry, Fault, parse
from splai.core.inferencejob.lines import Unreadable
from splai.core.inferencejob.prompt import RecordFormat
from splai.core.inferencejob.records import place_of, record_format
from splai.core.inferencejob.validation import (
    Findings,
    RecordCheck,
    Requirements,
    check_spec,
    format_problem,
    same_custom_id,
    too_many_records,
)
from splai.inputs.chunk_writer import ChunkStore, ChunkWriter
from splai.inputs.custom_ids import CustomIds
from splai.inputs.errors import SourceUnusable
from splai.inputs.formats import FileRecords, open_records
from splai.inputs.places import Places
from splai.inputs.source import Account, SourceFile

REPORT_EVERY = 256
MOST_SOURCES = 1000
"""Named in the manifest, which is one object of the store and part of plan.json: a bucket may hold any number."""


@dataclass
class Progress:
    """What was read so far, for whoever wants to know it from another thread."""

    records: int = 0
    bytes: int = 0


def read_input(
    order: ReadingOrder,
    open_files: Callable[[], Sequence[SourceFile]],
    store: ChunkStore,
    *,
    attempt: str,
    progress: Progress | None = None,
) -> InputManifest | Validation:
    """Read the input of an order into chunks; raises SourceUnavailable."""
    reading = _Reading(order, ChunkWriter(store, attempt), progress or Progress())
    try:
        if reading.may_begin():
            reading.read(open_files())
    except SourceUnusable as error:
        return Validation(reason=error.reason, problems=[str(error)], total=1)
    reading.find_duplicates()
    return reading.result(attempt)


def titles(uris: Sequence[str]) -> list[str]:
    """What each of several files is called in a problem: its URI without what all have in common."""
    if len(uris) == 1:
        return [""]
    first, last = min(uris), max(uris)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
    start = first.rfind("/", 0, shared) + 1
    return [uri[start:] for uri in uris]


class _EndOfReading(Exception):
    """The rest of the input does not matter."""


class _Reading:
    def __init__(self, order: ReadingOrder, writer: ChunkWriter, progress: Progress) -> None:
        self._order = order
        self._writer = writer
        self._progress = progress
        self._requirements = Requirements.of_order(order)
        self._findings = Findings()
        self._ids = CustomIds()
        self._places = Places()
        self._check: RecordCheck | None = None
        self._format: RecordFormat = "jsonl"
        self._sources: list[SourceIdentity] = []
        self._more_sources = 0
        self._read = 0
        self._bytes = 0

    def may_begin(self) -> bool:
        """Whether the job's spec is worth a reading."""
        check_spec(self._requirements, self._findings)
        wanted = self._order.input.format
        if self._order.input.failed_of and wanted not in ("auto", "jsonl", "openai-batch"):
            self._findings.add(f"spec.input.format: the records of a job are JSON, not a file in {wanted} format")
        return not self._findings.total

    def read(self, files: Sequence[SourceFile]) -> None:
        """Read files until they end, or the limit, or what makes the rest meaningless."""
        for file, title in zip(files, titles([file.uri for file in files]), strict=True):
            account = Account(file)
            try:
                records = open_records(file, account, self._order.input.format)
                self._take(records, title, account)
            except Unreadable as error:
                self._findings.add(f"{title or 'spec.input'}: {error}; nothing after it was read")
                break
            except _EndOfReading:
                break
            self._note_source(account.close())
            self._bytes += account.bytes
            if self._read == self._order.input.limit:
                break
        self._progress.records, self._progress.bytes = self._read, self._bytes
        if not self._read and not self._findings.total:
            none_failed = "every record of that job has an answer"
            self._findings.add(f"spec.input: {none_failed if self._order.input.failed_of else 'holds no record'}")

    def _note_source(self, source: SourceIdentity) -> None:
        if len(self._sources) < MOST_SOURCES:
            self._sources.append(source)
        else:
            self._more_sources += 1

    def _take(self, records: FileRecords, title: str, account: Account) -> None:
        limit = self._order.input.limit
        left = None if limit is None else limit - self._read
        for entry in islice(records.entries, left):
            self._read += 1
            if self._read % REPORT_EVERY == 0:
                self._progress.records, self._progress.bytes = self._read, self._bytes + account.bytes
            if self._requirements.limits.max_records is not None:
                self._count()
            if type(entry) is Fault:
                place = place_of(self._read, entry.number, file=title, unit=records.unit, column=entry.column)
                self._findings.add(f"{place}: {entry.problem}")
                self._skip()
            elif type(entry) is Entry:
                check = self._check or self._begin(entry, records)
                self._take_record(entry, check, title, records)

    def _count(self) -> None:
        if self._read > (self._requirements.limits.max_records or 0):
            self._findings.add_violation(too_many_records(self._requirements))
            raise _EndOfReading

    def _skip(self) -> None:
        if not self._findings.full:
            self._places.skip(self._writer.records)

    def _begin(self, first: Entry, records: FileRecords) -> RecordCheck:
        self._format = record_format(records.wanted, first.record, is_json=records.is_json)
        if problem := format_problem(self._requirements, self._format):
            self._findings.add(problem)
            raise _EndOfReading
        self._check = RecordCheck(self._requirements, self._format)
        return self._check

    def _take_record(self, entry: Entry, check: RecordCheck, title: str, records: FileRecords) -> None:
        number, record, line = entry
        if check.problem(record) or check.violation(record):
            place = place_of(self._read, number, file=title, unit=records.unit)
            check.check(record, place, self._findings)
        self._ids.add(check.custom_id(record, self._read - 1))
        if not self._findings.full:
            self._places.note(self._writer.records, number, title, records.unit)
            self._writer.add(line)

    def find_duplicates(self) -> None:
        """Add every record whose custom_id an earlier one has."""
        repeats = self._ids.repeats()
        if not repeats or self._check is None:
            return
        total = self._findings.total
        if not self._findings.full:
            self._writer.close()
            self._name_duplicates(self._check)
        if self._findings.full:  # the rest was not looked at
            self._findings.total = total + repeats

    def _name_duplicates(self, check: RecordCheck) -> None:
        suspects = self._ids.suspects()
        first: dict[str, int] = {}
        index = -1
        for number in range(len(self._writer.first)):
            for line in self._writer.read(number):
                index += 1
                custom_id = check.custom_id(parse(line), self._places.record(index) - 1)
                if hash(custom_id) not in suspects:
                    continue
                if custom_id in first:
                    other = self._places.of(first[custom_id])
                    self._findings.add(f"{self._places.of(index)}: {same_custom_id(custom_id, other)}")
                    if self._findings.full:
                        return
                first.setdefault(custom_id, index)

    def result(self, attempt: str) -> InputManifest | Validation:
        """What the reading led to; its chunks are stored."""
        if self._findings.total:
            return Validation(reason=self._findings.reason, problems=self._findings.found, total=self._findings.total)
        self._writer.close()
        return InputManifest(
            attempt=attempt,
            first=self._writer.first,
            records=self._writer.records,
            bytes=self._writer.bytes,
            format=self._format,
            sources=self._sources,
            more_sources=self._more_sources,
            spec_hash=self._order.spec_hash,
        )
