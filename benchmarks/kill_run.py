"""One run of the kill loop: its records, who is killed when, and whether what came out is what must come out."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

# What goes wrong with how many of 5,000 records; all but the refused ones are answered in the end.
FAULTS = {"fault:400": 20, "fault:500*1": 20, "fault:garbage*1": 5, "fault:slow*1": 5}
FAULTS |= {"fault:reset*1": 4, "fault:503*1": 4, "fault:429*1": 4}
REFUSED = "fault:400"

FIRST_MOMENT, LAST_MOMENT = -0.15, 1.1
Victim = Literal["worker", "operator", "artifact server"]
VICTIMS: dict[Victim, int] = {"worker": 3, "operator": 1, "artifact server": 1}  # each once, then with these weights
MORE_KILLS = 3  # than victims, at most


@dataclass(frozen=True, order=True)
class Kill:
    """One kill.

    ``moment`` is the share of the records that the engine has seen; what is below 0 or above 1 is a time before the
    first or after the last, in tens of seconds.
    """

    moment: float
    victim: Victim
    place: float  # 0 … 1: which of the workers that run
    pause: float  # seconds until it is started again


@dataclass(frozen=True)
class Run:
    """One job's records and kills."""

    name: str
    texts: Sequence[str]
    kills: Sequence[Kill]

    @classmethod
    def make(cls, seed: int, number: int, records: int) -> "Run":
        """The same for the same seed and number."""
        chance = random.Random(f"{seed}/{number}")  # noqa: S311 - repeatable on purpose
        faults = [fault for fault, count in FAULTS.items() for _ in range(max(1, count * records // 5000))]
        words = [*faults, *[""] * (records - len(faults))]
        chance.shuffle(words)
        texts = [f"question {position} {word}".strip() for position, word in enumerate(words)]
        more = chance.choices(list(VICTIMS), list(VICTIMS.values()), k=chance.randint(0, MORE_KILLS))
        return cls(f"run-{number}", texts, sorted(_draw(victim, chance) for victim in [*VICTIMS, *more]))

    @property
    def answered(self) -> dict[str, str]:
        """The answer of each record that gets one, by the record's name, in the order of the input."""
        return {name: f"echo {text}" for name, text in self._named() if REFUSED not in text}

    @property
    def refused(self) -> set[str]:
        """The names of all others."""
        return {name for name, text in self._named() if REFUSED in text}

    def reexecuted(self, asked: Counter[str]) -> int:
        """How often records were sent that had been sent before, but for the tries that their faults asked for."""
        return sum(max(0, asked[text] - _tries(text)) for text in self.texts)

    def _named(self) -> list[tuple[str, str]]:
        return [(f"record-{number}", text) for number, text in enumerate(self.texts, start=1)]


def _draw(victim: Victim, chance: random.Random) -> Kill:
    moment = chance.uniform(0, 1.02) if victim == "worker" else chance.uniform(FIRST_MOMENT, LAST_MOMENT)
    return Kill(moment, victim, place=chance.random(), pause=chance.uniform(0, 1))


def _tries(text: str) -> int:
    return 2 if "*1" in text and "fault:slow" not in text else 1


@dataclass(frozen=True)
class Outcome:
    """What became of a run."""

    lost: int = 0
    duplicated: int = 0
    reexecuted: int = 0
    wrong: Sequence[str] = ()  # nothing when the run is equal to what it must be


def judge(
    run: Run, status: dict[str, Any], output: list[dict[str, Any]], errors: list[dict[str, Any]], asked: Counter[str]
) -> Outcome:
    """Compare a finished job with what it must be: each record's line once, in order, and counted."""
    found = Counter(line["custom_id"] for line in [*output, *errors])
    answered, refused = run.answered, run.refused
    lost = len((answered.keys() | refused) - found.keys())
    duplicated = sum(count > 1 for count in found.values())
    counts = status.get("requestCounts", {})
    holds = {
        "phase": status.get("phase") == "Completed",
        "lost": lost == 0,
        "duplicated": duplicated == 0,
        "output": [(line["custom_id"], _content(line)) for line in output] == list(answered.items()),
        "errors": {line["custom_id"] for line in errors} == refused,
        "total": counts.get("total") == len(run.texts),
        "completed": counts.get("completed") == status.get("succeeded") == len(answered),
        "failed": counts.get("failed") == status.get("failed") == len(refused),
    }
    wrong = [what for what, is_right in holds.items() if not is_right]
    return Outcome(lost, duplicated, run.reexecuted(asked), wrong)


def _content(line: dict[str, Any]) -> str:
    return str(line["response"]["body"]["choices"][0]["message"]["content"])
