"""The page about resilient calls is a program: it runs from top to bottom and prints what it says."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

import splai.resilience
from local_cluster.ports import free_ports
from splai.resilience.observability import Observability, initialize_observability

PAGE = (Path(__file__).parents[3] / "docs" / "resilience.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The names of a program whose metrics are served where there is room; the key is there, the service is not."""
    (port,) = free_ports(1)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    served: list[Observability | None] = []

    def initialize(**options: Any) -> None:
        served.append(initialize_observability(**options | {"prometheus_port": port}))

    monkeypatch.setattr("splai.resilience.observability.initialize_observability", initialize)
    yield {}
    for observability in filter(None, served):
        observability.close()


def test_every_block_runs_and_prints_what_the_page_says(
    program: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for block in BLOCKS:
        exec(block.replace("max_retries=3", "max_retries=3, initial_seconds=0"), program)  # noqa: S102 - the page is ours
        told = [line.removeprefix("# ") for line in block.splitlines() if line.startswith("# ")]
        assert capsys.readouterr().out.splitlines() == told


async def test_the_application_of_the_page_answers_as_the_page_says(program: dict[str, Any]) -> None:
    for block in BLOCKS:
        exec(re.sub(r"^print.*\n", "", block, flags=re.MULTILINE), program)  # noqa: S102 - the page is ours

    transport = httpx.ASGITransport(program["application"])
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
        (sent,) = re.findall(r"curl -d '(.*?)'", PAGE)
        reply = await client.post("/workflow", content=sent, headers={"X-Correlation-ID": "c-7"})

    assert reply.json()["result"].keys() == {"duration_ms", "cost", "response"}
    assert reply.json()["result"]["response"] == "openai: hi"


@pytest.mark.parametrize("name", re.findall(r"^\| `(\w+Primitive)\(.*?\)` \| `(\.\w+)`", PAGE, re.MULTILINE))
def test_every_step_of_the_table_is_where_the_page_says(name: tuple[str, str]) -> None:
    step, module = name

    found = getattr(import_module(f"splai.resilience{module}"), step)
    assert getattr(splai.resilience, step) is found
