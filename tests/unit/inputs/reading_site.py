"""What the tests of this folder share: sources and a store in memory, and a reading of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from splai.api.job_input import Input
from splai.api.ledger import InputManifest, ReadingOrder, Validation, chunk_path
from splai.artifacts import input_chunks
from splai.inputs.reading import read_input
from splai.inputs.resume import Patience
from splai.inputs.source import SourceFile
from splai.resilience.retry import Backoff, RetryPolicy

HASTE = Patience(RetryPolicy(max_attempts=3, backoff=Backoff(initial=0.0, maximum=0.0)))
"""Three tries without a pause."""


@dataclass(kw_only=True)
class MemoryFile(SourceFile):
    """A file whose blocks are given."""

    blocks: Sequence[bytes]
    taken: int = 0

    def read(self) -> Iterator[bytes]:
        for block in self.blocks:
            self.taken += 1
            yield block


def memory_file(content: bytes | str | Sequence[bytes], name: str = "lines", **fields: Any) -> MemoryFile:
    data = content.encode() if isinstance(content, str) else content
    return MemoryFile(uri=f"memory://{name}", name=name, blocks=[data] if isinstance(data, bytes) else data, **fields)


@dataclass
class MemoryChunks:
    """The job's folder."""

    objects: dict[str, bytes] = field(default_factory=dict)

    def begin_create(self, path: str, content: bytes) -> None:
        assert path not in self.objects
        self.objects[path] = content

    def finish(self) -> None:
        """All is there at once."""

    def get(self, path: str) -> bytes | None:
        return self.objects.get(path)

    def lines(self, manifest: InputManifest) -> list[bytes]:
        """The records that a manifest names."""
        chunks = [
            input_chunks.decode(self.objects[chunk_path(manifest.attempt, number)])
            for number in range(len(manifest.first))
        ]
        assert manifest.first == [sum(map(len, chunks[:number])) for number in range(len(chunks))]
        assert sum(map(len, chunks)) == manifest.records
        return [line for chunk in chunks for line in chunk]


def make_order(*, source: dict[str, Any] | None = None, **fields: Any) -> ReadingOrder:
    volume = {"persistentVolumeClaim": {"claimName": "data", "path": "lines"}}
    return ReadingOrder.model_validate(
        {
            "namespace": "team",
            "job": "triage",
            "uid": "u",
            "type": "chat",
            "spec_hash": "h",
            "input": Input.model_validate({**volume, **(source or {})}),
            **fields,
        }
    )


def read(
    *files: SourceFile, store: MemoryChunks | None = None, source: dict[str, Any] | None = None, **order: Any
) -> InputManifest | Validation:
    return read_input(make_order(source=source, **order), lambda: files, store or MemoryChunks(), attempt="a")
