"""Counts and tokens of a set of lines."""

import json
from dataclasses import dataclass

from splai.api.inference_job import Usage
from splai.api.ledger import TaskCounts
from splai.artifacts.part_lines import RecordLine
from splai.worker.outcome import Tokens, read_tokens


@dataclass(slots=True)
class Tally:
    """A running sum, because it changes with every record."""

    completed: int = 0
    failed: int = 0
    retried: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def add(self, record: RecordLine, tokens: Tokens) -> None:
        if record.kind == "output":
            self.completed += 1
        else:
            self.failed += 1
        self.retried += record.attempts > 1
        self.prompt_tokens += tokens.prompt
        self.completion_tokens += tokens.completion
        self.total_tokens += tokens.total
        self.cached_tokens += tokens.cached
        self.reasoning_tokens += tokens.reasoning

    def add_usage(self, usage: Usage) -> None:
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        self.total_tokens += usage.total_tokens
        self.cached_tokens += usage.cached_tokens
        self.reasoning_tokens += usage.reasoning_tokens

    def merge(self, other: "Tally") -> None:
        self.completed += other.completed
        self.failed += other.failed
        self.retried += other.retried
        self.add_usage(other.usage)

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
