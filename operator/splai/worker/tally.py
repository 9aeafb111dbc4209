"""Counts and tokens of a set of lines."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from splai.api.inference_job import Usage
from splai.api.ledger import TaskCounts
from splai.artifacts.part_lines import RecordLine
from splai.worker.outcome import Tokens, read_tokens


@dataclass(slots=True)
class Tally:
    """A running sum."""

    completed: int = 0
    failed: int = 0
    retried: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def add(self, records: Sequence[RecordLine], tokens: Sequence[Tokens]) -> None:
        """Records, and the tokens of each."""
        failed = sum([record.kind == "error" for record in records])
        self.completed += len(records) - failed
        self.failed += failed
        self.retried += sum([record.attempts > 1 for record in records])
        of_all = Tokens(*map(sum, zip(*tokens, strict=True))) if tokens else Tokens()
        self.prompt_tokens += of_all.prompt
        self.completion_tokens += of_all.completion
        self.total_tokens += of_all.total
        self.cached_tokens += of_all.cached
        self.reasoning_tokens += of_all.reasoning

    def add_usage(self, usage: Usage) -> None:
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        self.total_tokens += usage.total_tokens
        self.cached_tokens += usage.cached_tokens
        self.reasoning_tokens += usage.reasoning_tokens

    @property
    def counts(self) -> TaskCounts:
        return TaskCounts(completed=self.completed, failed=self.failed, retried=self.retried)

    @property
    def usage(self) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            total_tokens=self.total_tokens,
            cached_tokens=self.cached_tokens,
            reasoning_tokens=self.reasoning_tokens,
        )


def tokens_of(record: RecordLine) -> Tokens:
    """The tokens of a line that was read back."""
    if record.kind == "error":
        return Tokens()
    return read_tokens(json.loads(record.line)["response"]["body"])
