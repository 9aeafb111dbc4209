"""How fast an input is read, checked and packed into chunks: the planning pod's one pass, in CPU time.

Two files of records: lines whose prompt is rendered from a template, and lines in OpenAI Batch format, which bring
their requests. Beside them, in the same run and by turns, the least that any reader does: json.loads of every line.

    make benchmark NAME=validate ARGS='--records 50000 --megabytes 200'
"""

import argparse
import json
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splai.api.job_input import Input
from splai.api.ledger import InputManifest, ReadingOrder
from splai.api.storage import VolumePath
from splai.inputs.reading import read_input
from splai.inputs.volume import volume_files

ROUNDS = 3
TEMPLATE = "Classify this ticket of {{ customer.name }} ({{ customer.tier|upper }}):\n{{ subject }}\n\n{{ body }}"
SYSTEM = "Answer a {{ customer.tier }} customer."


class NoStore:
    """Chunks are made and go nowhere: what the store costs is not the reader's."""

    def begin_create(self, path: str, content: bytes) -> None:
        """Forget it."""

    def finish(self) -> None:
        """Nothing is under way."""

    def get(self, path: str) -> bytes | None:
        """Nothing is there."""
        return None


@dataclass(frozen=True)
class Kind:
    """Lines, and the rest of the order to read them."""

    line: Callable[[int, str], dict[str, Any]]
    order: dict[str, Any]


def ticket(number: int, text: str) -> dict[str, Any]:
    customer = {"name": f"customer {number % 977}", "tier": "gold"}
    return {"subject": f"ticket {number}", "body": text, "customer": customer, "tags": ["billing", "urgent"]}


def request(number: int, text: str) -> dict[str, Any]:
    messages = [{"role": "system", "content": "Classify the ticket."}, {"role": "user", "content": text}]
    body = {"model": "any", "max_tokens": 64, "messages": messages}
    return {"custom_id": f"request-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}


KINDS = {
    "template": Kind(ticket, {"prompt": {"template": TEMPLATE, "system": SYSTEM}}),
    "batch": Kind(request, {}),
}


def write(path: Path, kind: Kind, records: int, size: int) -> None:
    """Lines of about ``size`` bytes whose texts compress as prose does."""
    chance = random.Random(1)  # noqa: S311 - the same file every time
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(5000)]
    room = size - len(json.dumps(kind.line(records, "")))
    texts = [" ".join(chance.choices(words, k=room // 4))[:room] for _ in range(200)]
    with path.open("w") as file:
        file.writelines(json.dumps(kind.line(number, chance.choice(texts))) + "\n" for number in range(records))


def cpu_seconds(act: Callable[[], object]) -> float:
    began = time.process_time()
    act()
    return time.process_time() - began


def validate(path: Path, kind: Kind, records: int) -> None:
    """The planning pod's pass over a file."""
    place = VolumePath(claim_name="data", path=path.name)
    order = ReadingOrder(
        namespace="benchmark",
        job="validate",
        uid="uid",
        type="chat",
        input=Input(persistent_volume_claim=place),
        spec_hash="",
        **kind.order,
    )
    result = read_input(order, lambda: volume_files(place, path.parent), NoStore(), attempt="attempt")
    assert isinstance(result, InputManifest), result
    assert result.records == records


def parse(path: Path) -> None:
    """The least that has to be done."""
    with path.open("rb") as file:
        for line in file:
            json.loads(line)


def measure(records: int, megabytes: float) -> Iterator[tuple[str, float]]:
    """Figures by name: MB of input a second of CPU, medians, and their ratio to bare parsing."""
    with tempfile.TemporaryDirectory() as directory:
        for name, kind in KINDS.items():
            path = Path(directory) / f"{name}.jsonl"
            write(path, kind, records, int(megabytes * 1e6 / records))
            size = path.stat().st_size / 1e6
            rounds = [
                (size / cpu_seconds(lambda: validate(path, kind, records)), size / cpu_seconds(lambda: parse(path)))  # noqa: B023 - used at once
                for _ in range(ROUNDS)
            ]
            yield f"{name}_mb_per_s", statistics.median(rate for rate, _ in rounds)
            yield f"{name}_bare_mb_per_s", statistics.median(bare for _, bare in rounds)
            yield f"{name}_ratio", statistics.median(rate / bare for rate, bare in rounds)
            path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--megabytes", type=float, default=200)
    arguments = parser.parse_args()
    figures: dict[str, float] = {"records": arguments.records}
    for name, figure in measure(arguments.records, arguments.megabytes):
        figures[name] = round(figure, 2)
        print(f"{name}: {figures[name]}", flush=True)
    figures["rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print("RESULT", json.dumps(figures))


if __name__ == "__main__":
    main()
