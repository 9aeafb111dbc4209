"""What the ledger promises, checked over the objects themselves: at every write, and of the folder as a whole."""

import hashlib
import json
from collections.abc import Mapping
from typing import TypeVar

from splai.api.base import APIModel
from splai.api.ledger import (
    CLOSING,
    ERRORS,
    FINAL,
    FINAL_TASK,
    OUTPUT,
    Claim,
    Closing,
    Commit,
    Final,
    Progress,
    TaskRange,
    WorkOrder,
    claim_path,
    commit_path,
    is_decisive,
)
from splai.artifacts.folder import StoredObject
from splai.artifacts.part_lines import RecordLine, decode
from splai.worker.ledger import Survey, read_listing
from splai.worker.tally import Tally, tokens_of

_Model = TypeVar("_Model", bound=APIModel)


class Promises:
    """The folder as its writers made it, and what was found wrong with it."""

    def __init__(self, order: WorkOrder) -> None:
        self.order = order
        self.objects: dict[str, bytes] = {}
        self.writers: dict[str, str] = {}
        self.broken: list[str] = []
        self._shown = (0, 0)

    def wrote(self, process: str, path: str, data: bytes) -> None:
        """A write took place."""
        before = self.objects.get(path)
        self._expect(before is None or not is_decisive(path), f"{path} was created twice")
        if path in {OUTPUT, ERRORS}:
            self._expect(before in (None, data), f"{path} was overwritten with other bytes")
            self._expect(commit_path(FINAL_TASK) in self.objects, f"{path} was written before the decision")
        self.objects[path] = data
        self.writers[path] = process

    def showed(self, progress: Progress) -> None:
        """The artifact server told this to the operator."""
        counts = progress.counts
        shown = (counts.completed, counts.failed)
        self._expect(sum(shown) >= sum(self._shown), f"progress fell from {self._shown} to {shown}")
        if CLOSING not in self.objects:
            grew = shown[0] >= self._shown[0] and shown[1] >= self._shown[1]
            self._expect(grew, f"completed or failed fell from {self._shown} to {shown}")
            durable = sum(len(self._lines_of(task, self._parts(task.id))) for task in self.order.tasks)
            self._expect(sum(shown) <= durable, f"progress shows {shown}, but {durable} lines are durable")
        self._shown = shown

    def check(self) -> None:
        """Raise AssertionError with all that is wrong with the folder as it is."""
        for task in self.order.tasks:
            self._check_claims(task)
            self._check_commit(task)
        self._check_closing()
        self._check_decision()
        self._check_final()
        assert not self.broken, "\n".join(self.broken)

    @property
    def is_closed(self) -> bool:
        """Whether the outputs are made of ``closing``."""
        decision = self._read(commit_path(FINAL_TASK), Commit)
        return decision is not None and decision.parts == [CLOSING]

    @property
    def final(self) -> Final | None:
        return self._read(FINAL, Final)

    def _check_claims(self, task: TaskRange) -> None:
        epoch = 1
        while claim_path(task.id, epoch) in self.objects:
            epoch += 1
        highest = self._listing().epochs.get(task.id, 0)
        self._expect(highest == epoch - 1, f"task {task.id} lacks claim {epoch}, but has {highest}")
        for part in self._parts(task.id):
            claim = self._read(claim_path(task.id, int(part.partition("-")[0])), Claim)
            writer = self.writers[f"tasks/{task.id}/{part}"]
            self._expect(claim is not None and claim.worker == writer, f"{writer} wrote {part} without its claim")

    def _check_commit(self, task: TaskRange) -> None:
        commit = self._read(commit_path(task.id), Commit)
        if commit is None:
            return
        lines = self._lines_of(task, commit.parts)
        self._expect(lines.keys() == set(task.positions), f"the commit of {task.id} holds {sorted(lines)}")
        tally = Tally()
        tally.add(list(lines.values()), list(map(tokens_of, lines.values())))
        said, held = (commit.counts, commit.usage), (tally.counts, tally.usage)
        self._expect(said == held, f"the commit of {task.id} says {said}, but its parts hold {held}")

    def _check_closing(self) -> None:
        closing = self._read(CLOSING, Closing)
        if closing is None:
            return
        self._expect([task.task for task in closing.tasks] == [task.id for task in self.order.tasks], "closing's tasks")
        for task in closing.tasks:
            missing = set(task.parts) - set(self._parts(task.task))
            self._expect(not missing, f"closing names parts of {task.task} that do not exist: {missing}")

    def _check_decision(self) -> None:
        decision = self._read(commit_path(FINAL_TASK), Commit)
        if decision is None:
            return
        if decision.parts == [CLOSING]:
            self._expect(CLOSING in self.objects, "the decision is for closing, which does not exist")
        else:
            missing = [task.id for task in self.order.tasks if commit_path(task.id) not in self.objects]
            self._expect(not missing, f"the decision is for all commits, but {missing} have none")

    def _check_final(self) -> None:
        if (final := self.final) is None:
            return
        self._expect(final.complete != self.is_closed, f"final says complete={final.complete}")
        expected = self._expected_outputs()
        for path, summary, kind in ((OUTPUT, final.output, "output"), (ERRORS, final.errors, "error")):
            data = self.objects.get(path, b"")
            lines = [line for line in expected.values() if line.kind == kind]
            self._expect(path in self.objects, f"there is a final, but no {path}")
            self._expect(data == b"".join(line.line + b"\n" for line in lines), f"{path} does not hold its lines")
            described = (len(data), hashlib.sha256(data).hexdigest(), len(lines))
            self._expect(described == (summary.bytes, summary.sha256, summary.lines), f"final describes another {path}")
        tally = Tally()
        tally.add(list(expected.values()), list(map(tokens_of, expected.values())))
        counts = final.counts
        said = (counts.total, counts.completed, counts.failed, counts.retried)
        held = (len(expected), tally.completed, tally.failed, tally.retried)
        self._expect(said == held, f"final counts {said}, but the outputs hold {held}")
        self._expect(final.usage == tally.usage, f"final says {final.usage}, but the outputs hold {tally.usage}")

    def _expected_outputs(self) -> dict[int, RecordLine]:
        """Each record's line by the rules of the page, and with its own name and question in it."""
        closing = self._read(CLOSING, Closing) if self.is_closed else None
        expected: dict[int, RecordLine] = {}
        for task in self.order.tasks:
            commit = self._read(commit_path(task.id), Commit)
            named = {entry.task: entry.parts for entry in closing.tasks} if closing else {}
            parts = named[task.id] if closing else commit.parts if commit else []
            lines = self._lines_of(task, parts)
            for position in task.positions:
                if position in lines:
                    expected[position] = lines[position]
                elif closing:
                    expected[position] = self._written_for_nobody(position, closing)
                self._expect(position in expected, f"no line for record {position}")
        return expected

    def _written_for_nobody(self, position: int, closing: Closing) -> RecordLine:
        """The error line of a record that was never answered, as it stands in errors.jsonl."""
        name = f'"custom_id":"record-{position + 1}"'.encode()
        found = [line for line in self.objects.get(ERRORS, b"").splitlines() if name in line]
        self._expect(len(found) == 1, f"record {position} has {len(found)} error lines")
        error = json.loads(found[0])["error"] if found else None
        self._expect((error or {}).get("code") == closing.code, f"record {position} was closed with {error}")
        return RecordLine(position, "error", 1, found[0] if found else b"")

    def _lines_of(self, task: TaskRange, parts: list[str]) -> Mapping[int, RecordLine]:
        """The first line of each position, in the order of the parts."""
        lines: dict[int, RecordLine] = {}
        for part in parts:
            for line in decode(self.objects[f"tasks/{task.id}/{part}"]):
                self._expect(line.position in task.positions, f"{part} of {task.id} holds record {line.position}")
                named = json.loads(line.line)["custom_id"] == f"record-{line.position + 1}"
                self._expect(named, f"record {line.position} has another's line")
                lines.setdefault(line.position, line)
        return lines

    def _parts(self, task: str) -> list[str]:
        return self._listing().parts.get(task, [])

    def _listing(self) -> Survey:
        return read_listing(StoredObject(path, len(data)) for path, data in self.objects.items())

    def _read(self, path: str, model: type[_Model]) -> _Model | None:
        data = self.objects.get(path)
        return None if data is None else model.model_validate_json(data)

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.broken.append(otherwise)
